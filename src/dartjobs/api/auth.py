"""Who asks, and whether they may: a hook. Every route names a permission; one without it stops the start.

Until identity exists, `HeaderAuthenticator` takes the name that a request gives and allows everything.
"""

import re
from collections.abc import Iterable
from typing import Annotated, NamedTuple, Protocol

from fastapi import Header, Request, params
from fastapi.dependencies.models import Dependant
from pydantic import StringConstraints
from starlette.routing import BaseRoute

from dartjobs.models.problem import FieldProblem, InvalidRequestError

PUBLIC = "public"
"""The permission that everybody has: health, metrics, the published schemas."""
_USER = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_UserName = Annotated[str, StringConstraints(pattern=f"^{_USER.pattern}$")]


class Principal(NamedTuple):
    """Who asks."""

    user: str


class Authenticator(Protocol):
    """Decides on every request that is not public."""

    async def authenticate(self, request: Request) -> Principal:
        """Who sent this.

        Raises:
            UnauthenticatedError: nobody that is known.
        """
        ...

    async def authorize(self, principal: Principal, permission: str, namespace: str | None) -> None:
        """Let it pass.

        Args:
            principal: who asks.
            permission: what the route needs, such as `jobs:create`.
            namespace: that of the path; None for what is the whole installation's.

        Raises:
            ForbiddenError: they may not.
        """
        ...


class HeaderAuthenticator:
    """Attributes a request to whom it names in `X-Dartjobs-User`; refuses nobody."""

    async def authenticate(self, request: Request) -> Principal:
        """The name that was given."""
        user = request.headers.get("x-dartjobs-user") or "anonymous"
        if not _USER.fullmatch(user):
            wrong = FieldProblem("x-dartjobs-user", "at most 255 characters, and no control characters")
            raise InvalidRequestError(errors=[wrong])
        return Principal(user)

    async def authorize(self, principal: Principal, permission: str, namespace: str | None) -> None:
        """Everybody may do everything."""


class Allow:
    """The dependency by which a route names its permission; its value is who asks."""

    def __init__(self, permission: str) -> None:
        self.permission = permission

    async def __call__(
        self,
        request: Request,
        x_dartjobs_user: Annotated[  # noqa: ARG002 - checked and documented here, read by the authenticator
            _UserName | None, Header(description="Who asks; recorded as given until identity exists.")
        ] = None,
    ) -> Principal:
        """Who asks, once it is sure that they may."""
        return await admit(request, self.permission)


class AllowEverybody(Allow):
    """What needs no name."""

    def __init__(self) -> None:
        super().__init__(PUBLIC)

    async def __call__(self) -> Principal:  # type: ignore[override]
        """Nobody was asked."""
        return Principal("anonymous")


async def admit(request: Request, permission: str) -> Principal:
    """Authenticate, limit the rate, authorize.

    Raises:
        UnauthenticatedError, ForbiddenError, RateLimitedError: it is refused.
    """
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.authenticate(request)
    request.app.state.user_limit.take(principal.user)
    await authenticator.authorize(principal, permission, request.path_params.get("namespace"))
    return principal


def allow(permission: str) -> params.Depends:
    """A route's dependency on a permission."""
    return params.Depends(Allow(permission))


class UnprotectedRouteError(Exception):
    """A route names no permission: the server does not start with it."""


def require_permissions(routes: Iterable[BaseRoute]) -> None:
    """See that each route names one.

    Raises:
        UnprotectedRouteError: one does not.
    """
    for route in routes:
        if permission_of(route) is None:
            msg = f"{getattr(route, 'path', route)} names no permission: give it allow(…), or allow_everybody"
            raise UnprotectedRouteError(msg)


def permission_of(route: BaseRoute) -> str | None:
    """The permission that a route names."""
    dependant = getattr(route, "dependant", None)
    return _permission_in(dependant) if isinstance(dependant, Dependant) else None


def _permission_in(dependant: Dependant) -> str | None:
    if isinstance(dependant.call, Allow):
        return dependant.call.permission
    found = (_permission_in(one) for one in dependant.dependencies)
    return next((one for one in found if one is not None), None)


allow_everybody = params.Depends(AllowEverybody())
