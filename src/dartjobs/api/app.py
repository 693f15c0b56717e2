"""The application: routes, problems, guard."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from dartjobs.api import problems
from dartjobs.api.auth import Authenticator, HeaderAuthenticator, require_permissions
from dartjobs.api.limits import RateLimit
from dartjobs.api.metrics import Measure, Metrics
from dartjobs.api.middleware import Guard
from dartjobs.api.routes import clusters, health, jobs, logs, metrics, packages, submit, watch
from dartjobs.api.settings import ApiSettings
from dartjobs.services.platform import Platform

NAMESPACE = "/api/v1/namespaces/{namespace}"


def create_app(
    platform: Platform,
    settings: ApiSettings,
    *,
    authenticator: Authenticator | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The API server for one installation; stateless: any number may serve the same database.

    Args:
        platform: what it works with.
        settings: limits, and where it may be reached.
        authenticator: who asks and whether they may; by default everybody, under the name that they give.
        routers: further routes.

    Raises:
        UnprotectedRouteError: a route names no permission.
    """
    app = FastAPI(title="DART Jobs", version="v1", openapi_url=None, responses=problems.EVERYWHERE)
    app.state.platform = platform
    app.state.settings = settings
    app.state.authenticator = authenticator or HeaderAuthenticator()
    app.state.metrics = Metrics(platform)
    app.state.user_limit = RateLimit(settings.requests_per_second, settings.burst)
    problems.install(app)
    modules = (submit, jobs, logs, watch, packages)
    included = [
        *((module.router, NAMESPACE) for module in modules),
        (clusters.router, ""),
        (health.router, ""),
        (metrics.router, ""),
    ]
    templates: dict[object, str] = {}
    for router, prefix in (*included, *((router, "") for router in routers)):
        require_permissions(router.routes)
        app.include_router(router, prefix=prefix)
        templates |= {route.endpoint: prefix + route.path for route in router.routes if isinstance(route, Route)}
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Measure, metrics=app.state.metrics, templates=templates)
    return app
