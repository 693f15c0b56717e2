"""Every error leaves as `application/problem+json` (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dartjobs.models.problem import DartJobsError, FaultError, InvalidRequestError, Problem
from dartjobs.services.fields import field_problems

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI says that these are answered with a problem."""
    return {status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in statuses}


EVERYWHERE = documented(400, 401, 403, 404, 413, 422, 429, 500, 503)
"""What any route may answer."""


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem."""
    app.exception_handler(DartJobsError)(_on_error)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http)


def problem_response(error: DartJobsError, request_id: str | None) -> Response:
    """The response that says this error."""
    headers = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after + 0.5))}
    return _response(error.problem(request_id), headers)


async def _on_error(request: Request, error: DartJobsError) -> Response:
    return problem_response(error, request.state.request_id)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    found = field_problems(error.errors())
    return problem_response(InvalidRequestError(errors=found), request.state.request_id)


async def _on_http(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, DartJobsError):
        return problem_response(error.__cause__, request.state.request_id)
    title = HTTPStatus(error.status_code).phrase
    code = title.lower().replace(" ", "-")
    detail = f"{request.method} {request.url.path}: {error.detail}. `/openapi.json` lists what there is."
    problem = Problem(
        type=f"urn:dartjobs:problem:{code}",
        title=title,
        status=error.status_code,
        code=code,
        detail=detail,
        request_id=request.state.request_id,
    )
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return _response(problem, headers)


def _methods_of(request: Request) -> set[str]:
    """What the path takes, over all of its routes: Starlette names the methods of the first one alone."""
    path = request.url.path
    routes = [one for one in request.app.routes if isinstance(one, Route) and one.path_regex.match(path)]
    return {method for route in routes for method in route.methods or ()}


def fault_response(error: Exception, request_id: str) -> Response:
    """The response to what nobody expected, which is logged."""
    _log.error("request %s failed", request_id, exc_info=error)
    return problem_response(FaultError("Show this request id to your operator."), request_id)


def _response(problem: Problem, headers: dict[str, str]) -> Response:
    return Response(problem.json(), problem.status, headers, MEDIA_TYPE)
