"""The application: routes, problems, guard."""

from typing import Any

from fastapi import FastAPI

from dartjobs.api import problems
from dartjobs.api.middleware import Guard
from dartjobs.api.routes import health, jobs, logs, packages, watch
from dartjobs.api.settings import ApiSettings
from dartjobs.models.problem import Problem
from dartjobs.services.platform import Platform

NAMESPACE = "/api/v1/namespaces/{namespace}"


def create_app(platform: Platform, settings: ApiSettings) -> FastAPI:
    """The API server for one installation; stateless: any number may serve the same database."""
    documented: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "content": {problems.MEDIA_TYPE: {}}} for status in (403, 404, 422, 503)
    }
    app = FastAPI(title="DART Jobs", version="v1", docs_url=None, redoc_url=None, responses=documented)
    app.state.platform = platform
    app.state.settings = settings
    problems.install(app)
    for module in (jobs, logs, watch, packages):
        app.include_router(module.router, prefix=NAMESPACE)
    app.include_router(health.router)
    app.add_middleware(Guard, settings=settings)
    return app
