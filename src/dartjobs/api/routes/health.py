"""Health, versions, and what is published."""

from importlib.metadata import version as version_of
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from dartjobs.api.auth import allow_everybody
from dartjobs.api.routes.common import UsesPlatform
from dartjobs.models.spec import JobSpec

router = APIRouter(tags=["health"], dependencies=[allow_everybody])


class Version(BaseModel):
    """What serves here."""

    version: str
    api: str = "v1"


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process serves."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(platform: UsesPlatform) -> dict[str, str]:
    """The database answers; 503 while it does not."""
    await platform.database.check()
    return {"status": "ok"}


@router.get("/api/v1/version")
async def version() -> Version:
    """The version of this server and of its API."""
    return Version(version=version_of("dartjobs"))


@router.get("/api/v1/schemas/jobspec")
async def jobspec_schema() -> dict[str, Any]:
    """The JSON Schema of a JobSpec."""
    return JobSpec.model_json_schema(by_alias=True)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """This API's own description."""
    return JSONResponse(request.app.openapi())
