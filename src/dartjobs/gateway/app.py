"""The gateway's application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from dartjobs.gateway.hearing import Hearing
from dartjobs.gateway.reports import Reports
from dartjobs.gateway.routes import router
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.problem import DartJobsError
from dartjobs.services.platform import Platform


def create_app(platform: Platform, settings: GatewaySettings, *, secret: bytes, installation: str) -> FastAPI:
    """The gateway of one cluster; `secret` and `installation` are those from which runners' tokens are derived."""
    hearing = Hearing(platform, settings)
    reports = Reports(platform, settings, hearing)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(hearing.listen())
        yield
        listening.cancel()

    app = FastAPI(
        title="DART Jobs gateway",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        max_body_size=settings.push_limit,
    )
    app.state.reports, app.state.settings = reports, settings
    app.state.secret, app.state.installation = secret, installation
    app.include_router(router)
    app.exception_handler(DartJobsError)(_on_error)
    return app


async def _on_error(_request: Request, error: DartJobsError) -> JSONResponse:
    return JSONResponse({"detail": error.detail}, int(error.status))
