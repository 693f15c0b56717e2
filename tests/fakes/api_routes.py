"""The HTTP of the API server in memory."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dartjobs.models.job import Job, JobPage, StopRequest
from dartjobs.models.problem import DartJobsError, InvalidRequestError, RangeError
from tests.fakes.api_more import answer, matching, once, routes_of, spec_of, user_of

if TYPE_CHECKING:
    from tests.fakes.api import FakeApi, Known, Log

_T = TypeVar("_T")
_BASE = "/api/v1/namespaces/{namespace}"
_TICK = 0.005


def app_of(api: "FakeApi") -> ASGIApp:
    """The server of this state."""
    routes = [*_other_routes(api), *routes_of(api), *_job_routes(api), *_stream_routes(api)]
    return _Recorder(api, Starlette(routes=routes, exception_handlers={DartJobsError: _problem}))


class _Recorder:
    """Notes each request, and gives the prepared answers."""

    def __init__(self, api: "FakeApi", app: ASGIApp) -> None:
        self._api = api
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        prepared = self._api.arrived(scope["method"], scope["path"], scope["query_string"].decode(), headers)
        await (prepared or self._app)(scope, receive, send)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, DartJobsError)
    problem = error.problem("req-1").json()
    return Response(problem, int(error.status), {"x-request-id": "req-1"}, "application/problem+json")


def _job_routes(api: "FakeApi") -> list[Route]:
    async def submit(request: Request) -> Response:
        def make() -> Job:
            spec = spec_of(api, body)
            return api.submitted(request.path_params["namespace"], user_of(request), spec)

        body = json.loads(await request.body())
        return await once(api, request, make)

    async def page(request: Request) -> Response:
        return answer(_page(api, request))

    async def get(request: Request) -> Response:
        return answer(_known(api, request).job)

    async def stop(request: Request) -> Response:
        body = await request.body()
        asked = _parsed(StopRequest.model_validate_json, body) if body else StopRequest()
        return answer(api.stopped(_known(api, request), user_of(request), asked.reason), 202)

    return [
        Route(f"{_BASE}/jobs", submit, methods=["POST"]),
        Route(f"{_BASE}/jobs", page),
        Route(f"{_BASE}/jobs/{{id}}", get),
        Route(f"{_BASE}/jobs/{{id}}/stop", stop, methods=["POST"]),
    ]


def _stream_routes(api: "FakeApi") -> list[Route]:
    async def events(request: Request) -> Response:
        return JSONResponse({"items": [json.loads(one.model_dump_json()) for one in _known(api, request).transitions]})

    async def watch(request: Request) -> Response:
        last = request.headers.get("last-event-id", "0.0").split(".")
        until = request.query_params.get("until", "finished")
        changes = _watch(_known(api, request), (int(last[0]), int(last[1])), until)
        return StreamingResponse(changes, media_type=api.watch_type)

    async def logs(request: Request) -> Response:
        return _log_response(api, _known(api, request), request)

    return [
        Route(f"{_BASE}/jobs/{{id}}/events", events),
        Route(f"{_BASE}/jobs/{{id}}/watch", watch),
        Route(f"{_BASE}/jobs/{{id}}/logs", logs),
    ]


def _other_routes(api: "FakeApi") -> list[Route]:
    async def package(request: Request) -> Response:
        ref = request.path_params["ref"]
        if request.method == "HEAD":
            return Response(status_code=200 if ref in api.packages else 404)
        body = await request.body()
        assert ref == f"sha256:{hashlib.sha256(body).hexdigest()}"
        api.packages[ref] = body
        return JSONResponse({"ref": ref, "size": len(body)}, 201)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return [
        Route(f"{_BASE}/packages/{{ref}}", package, methods=["HEAD", "PUT"]),
        Route("/healthz", health),
    ]


def _known(api: "FakeApi", request: Request) -> "Known":
    return api.known(request.path_params["namespace"], request.path_params["id"])


def _parsed(parse: Callable[[bytes], _T], body: bytes) -> _T:
    try:
        return parse(body)
    except ValidationError as error:
        raise InvalidRequestError(str(error)) from error


def _page(api: "FakeApi", request: Request) -> JobPage:
    jobs, query = matching(api, request), request.query_params
    start, limit = int(query.get("cursor", 0)), int(query.get("limit", 100))
    after = start + limit
    return JobPage(items=jobs[start:after], next_cursor=str(after) if after < len(jobs) else None)


async def _watch(known: "Known", seen: tuple[int, int], until: str) -> AsyncIterator[bytes]:
    told: Job | None = None
    while True:
        fresh = [one for one in known.transitions if (one.attempt, one.version) > seen]
        job = known.job
        for one in fresh:
            seen = (one.attempt, one.version)
            yield f"event: transition\nid: {one.attempt}.{one.version}\ndata: {one.model_dump_json()}\n\n".encode()
        if job != told:
            told = job
            yield f"event: job\ndata: {job.model_dump_json(by_alias=True)}\n\n".encode()
        if (job.finished_at if until == "finished" else job.attempt.terminated_at) is not None:
            return
        await asyncio.sleep(_TICK)


def _log_response(api: "FakeApi", known: "Known", request: Request) -> Response:
    query = request.query_params
    number = int(query.get("attempt", known.job.attempt.number))
    follow = query.get("follow") == "true"
    log = api.log(known.job.id, number)
    start, stop = _span(log, query.get("tail"), request.headers.get("range"))
    if start >= len(log.data) and start > 0 and not follow and "tail" not in query:
        msg = f"The log ends at byte {len(log.data)}."
        raise RangeError(msg)
    headers = {
        "dartjobs-log-offset": str(start),
        "dartjobs-log-attempt": str(number),
        "dartjobs-log-complete": str(log.complete).lower(),
    }
    status = 206 if "range" in request.headers else 200
    if follow:
        body = _growing(log, start, api.follow_idle)
        return StreamingResponse(body, status, headers, "application/octet-stream")
    return Response(log.data[start:stop], status, headers, "application/octet-stream")


def _span(log: "Log", tail: str | None, span: str | None) -> tuple[int, int | None]:
    if tail is not None:
        lines: Sequence[bytes] = log.data.splitlines(keepends=True)[-int(tail) :] if int(tail) else ()
        return len(log.data) - sum(map(len, lines)), None
    if span is None:
        return 0, None
    first, _, last = span.removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1 if last else None


async def _growing(log: "Log", at: int, idle: float) -> AsyncIterator[bytes]:
    quiet = 0.0
    while quiet < idle:
        complete, fresh = log.complete, log.data[at:]
        if fresh:
            at, quiet = at + len(fresh), 0.0
            yield fresh
        elif complete:
            return
        else:
            quiet += _TICK
            await asyncio.sleep(_TICK)
