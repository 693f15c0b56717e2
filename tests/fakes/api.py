"""An API server in memory that follows the HTTP contract, with hands for tests to move its jobs."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dartjobs.models.job import Attempt, Job, JobPage, StopIntent, StopRequest, Transition
from dartjobs.models.problem import DartJobsError, InvalidRequestError, NotFoundError, PackageNotFoundError, RangeError
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState

_BASE = "/api/v1/namespaces/{namespace}"
_T = TypeVar("_T")
_TICK = 0.005
_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Log:
    """What an attempt wrote."""

    data: bytes = b""
    complete: bool = False


@dataclass
class Known:
    """All that is known of a job."""

    job: Job
    transitions: list[Transition] = field(default_factory=list)
    logs: dict[int, Log] = field(default_factory=dict)


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


class FakeApi:
    """The state; `app` is the server of it. Time goes on by a second with each move."""

    def __init__(self) -> None:
        self.jobs: dict[str, Known] = {}
        self.packages: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.answers: list[tuple[str, str, Response]] = []
        """Answers to be given once, in the place of the real ones: a method, the end of a path, the response."""
        self.follow_idle = 60.0
        """Seconds without bytes after which a follow ends."""
        self.watch_type = "text/event-stream"
        self._seconds = itertools.count()
        self.app: ASGIApp = _Recorder(
            self, Starlette(routes=_routes(self), exception_handlers={DartJobsError: _problem})
        )

    # What a test does

    def add(self, *, namespace: str = "default", user: str = "ada", **fields: Any) -> Job:
        """A queued job."""
        spec = JobSpec.model_validate({"entrypoint": "python main.py", **fields})
        return self.submitted(namespace, user, spec)

    def move(
        self,
        job_id: str,
        resource_state: ResourceState,
        job_state: JobState,
        reason: Reason,
        *,
        retry: bool = False,
        **changes: Any,
    ) -> Job:
        """Record a move; a final one finishes the job, unless a retry is to follow, which it then begins."""
        known, at = self.jobs[job_id], self._now()
        before = known.job.attempt
        update: dict[str, Any] = {"resource_state": resource_state, "job_state": job_state, "entered_at": at, **changes}
        if not before.job_state.is_final:
            update |= {"reason": reason, "category": reason.category}
        if job_state.is_final and not before.job_state.is_final:
            update["finished_at"] = at
        if resource_state is ResourceState.TERMINATED:
            update["terminated_at"] = at
        attempt = before.model_copy(update={**update, "version": before.version + 1})
        job = known.job.model_copy(update={"attempt": attempt, "why": ""})
        known.transitions.append(_transition(before, attempt, reason, changes.get("message", ""), at))
        if job_state.is_final and job.finished_at is None:
            job = self._retried(known, job, at) if retry else job.model_copy(update={"finished_at": at})
        known.job = job
        return job

    def run(self, job_id: str) -> Job:
        """Up to a running driver."""
        self.move(job_id, ResourceState.CREATING, JobState.WAITING, Reason.CLAIMED, cluster="local")
        return self.move(job_id, ResourceState.READY, JobState.RUNNING, Reason.DRIVER_STARTED)

    def end(
        self, job_id: str, job_state: JobState = JobState.SUCCEEDED, reason: Reason | None = None, **changes: Any
    ) -> Job:
        """The outcome, with a log to which nothing will be added."""
        usual = {JobState.SUCCEEDED: Reason.COMPLETED, JobState.FAILED: Reason.DRIVER_FAILED}
        number = self.jobs[job_id].job.attempt.number
        code = {"exit_code": 0} if job_state is JobState.SUCCEEDED else {}
        chosen = reason or usual.get(job_state, Reason.USER_STOP)
        job = self.move(job_id, ResourceState.TERMINATING, job_state, chosen, **code | changes)
        self.log(job_id, number).complete = True
        return job

    def log(self, job_id: str, attempt: int | None = None) -> Log:
        """The log of an attempt, the latest by default, to be written to."""
        known = self.jobs[job_id]
        return known.logs.setdefault(attempt or known.job.attempt.number, Log())

    def write(self, job_id: str, data: bytes) -> None:
        """Add to the latest attempt's log."""
        self.log(job_id).data += data

    def answer_once(self, method: str, path_end: str, response: Response) -> None:
        """Answer the next such request with this."""
        self.answers.append((method, path_end, response))

    def count(self, method: str, path_end: str) -> int:
        """How many such requests arrived."""
        return sum(one.method == method and one.path.endswith(path_end) for one in self.seen)

    # What the server does

    def submitted(self, namespace: str, user: str, spec: JobSpec) -> Job:
        at, job_id = self._now(), f"job-{len(self.jobs):026}"
        attempt = _first(job_id, 1, Reason.SUBMITTED, at)
        job = Job(
            id=job_id,
            namespace=namespace,
            name=spec.name,
            user=user,
            spec=spec,
            submitted_at=at,
            attempt=attempt,
            why="No cluster is registered yet.",
        )
        self.jobs[job_id] = Known(job, [_transition(None, attempt, Reason.SUBMITTED, "", at)])
        return job

    def known(self, request: Request) -> Known:
        known = self.jobs.get(request.path_params["id"])
        if known is None or known.job.namespace != request.path_params["namespace"]:
            msg = f"There is no job {request.path_params['id']} in namespace {request.path_params['namespace']}."
            raise NotFoundError(msg)
        return known

    def stopped(self, known: Known, by: str, reason: str) -> Job:
        if known.job.stop is None and known.job.finished_at is None:
            stop = StopIntent(at=self._now(), by=by, reason=reason)
            known.job = known.job.model_copy(update={"stop": stop})
        return known.job

    def _retried(self, known: Known, job: Job, at: datetime) -> Job:
        attempt = _first(job.id, job.attempt.number + 1, Reason.RETRIED, at)
        known.transitions.append(_transition(None, attempt, Reason.RETRIED, "", at))
        return job.model_copy(update={"attempt": attempt})

    def _now(self) -> datetime:
        return _START + timedelta(seconds=next(self._seconds))


def _first(job_id: str, number: int, reason: Reason, at: datetime) -> Attempt:
    return Attempt(
        id=f"{job_id}-{number}",
        job_id=job_id,
        number=number,
        resource_state=ResourceState.QUEUED,
        job_state=JobState.WAITING,
        version=1,
        reason=reason,
        created_at=at,
        entered_at=at,
    )


def _transition(before: Attempt | None, after: Attempt, reason: Reason, message: str, at: datetime) -> Transition:
    return Transition(
        attempt_id=after.id,
        attempt=after.number,
        version=after.version,
        from_resource_state=before and before.resource_state,
        from_job_state=before and before.job_state,
        resource_state=after.resource_state,
        job_state=after.job_state,
        reason=reason,
        category=reason.category,
        message=message,
        actor="fake",
        at=at,
    )


class _Recorder:
    """Notes each request, and gives the prepared answers."""

    def __init__(self, api: FakeApi, app: ASGIApp) -> None:
        self._api = api
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self._api.seen.append(Seen(scope["method"], scope["path"], scope["query_string"].decode(), headers))
        for index, (method, path_end, response) in enumerate(self._api.answers):
            if scope["method"] == method and scope["path"].endswith(path_end):
                del self._api.answers[index]
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, DartJobsError)
    problem = error.problem("req-1").model_dump_json()
    return Response(problem, int(error.status), {"x-request-id": "req-1"}, "application/problem+json")


def _routes(api: FakeApi) -> list[Route]:
    async def submit(request: Request) -> Response:
        spec = _parsed(JobSpec.model_validate_json, await request.body())
        ref = spec.runtime_env.working_dir
        if ref is not None and ref not in api.packages:
            msg = f"{ref} has not been uploaded."
            raise PackageNotFoundError(msg)
        job = api.submitted(request.path_params["namespace"], request.headers.get("x-dartjobs-user", ""), spec)
        return Response(job.model_dump_json(by_alias=True), 201, media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(_page(api, request).model_dump_json(by_alias=True), media_type="application/json")

    async def get(request: Request) -> Response:
        return Response(api.known(request).job.model_dump_json(by_alias=True), media_type="application/json")

    async def stop(request: Request) -> Response:
        body = await request.body()
        asked = _parsed(StopRequest.model_validate_json, body) if body else StopRequest()
        job = api.stopped(api.known(request), request.headers.get("x-dartjobs-user", ""), asked.reason)
        return Response(job.model_dump_json(by_alias=True), 202, media_type="application/json")

    async def events(request: Request) -> Response:
        return JSONResponse({"items": [json.loads(one.model_dump_json()) for one in api.known(request).transitions]})

    async def watch(request: Request) -> Response:
        known = api.known(request)
        last = request.headers.get("last-event-id", "0.0").split(".")
        until = request.query_params.get("until", "finished")
        return StreamingResponse(_watch(known, (int(last[0]), int(last[1])), until), media_type=api.watch_type)

    async def logs(request: Request) -> Response:
        return _log_response(api, api.known(request), request)

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
        Route(f"{_BASE}/jobs", submit, methods=["POST"]),
        Route(f"{_BASE}/jobs", page),
        Route(f"{_BASE}/jobs/{{id}}", get),
        Route(f"{_BASE}/jobs/{{id}}/stop", stop, methods=["POST"]),
        Route(f"{_BASE}/jobs/{{id}}/events", events),
        Route(f"{_BASE}/jobs/{{id}}/watch", watch),
        Route(f"{_BASE}/jobs/{{id}}/logs", logs),
        Route(f"{_BASE}/packages/{{ref}}", package, methods=["HEAD", "PUT"]),
        Route("/healthz", health),
    ]


def _parsed(parse: Callable[[bytes], _T], body: bytes) -> _T:
    try:
        return parse(body)
    except ValidationError as error:
        raise InvalidRequestError(str(error)) from error


def _page(api: FakeApi, request: Request) -> JobPage:
    query = request.query_params
    states, name = query.getlist("state"), query.get("name")
    jobs = [
        known.job
        for known in reversed(api.jobs.values())
        if known.job.namespace == request.path_params["namespace"]
        and (not states or known.job.job_state in states)
        and (name is None or known.job.name == name)
    ]
    start, limit = int(query.get("cursor", 0)), int(query.get("limit", 100))
    after = start + limit
    return JobPage(items=jobs[start:after], next_cursor=str(after) if after < len(jobs) else None)


async def _watch(known: Known, seen: tuple[int, int], until: str) -> AsyncIterator[bytes]:
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


def _log_response(api: FakeApi, known: Known, request: Request) -> Response:
    query = request.query_params
    number = int(query.get("attempt", known.job.attempt.number))
    follow = query.get("follow") == "true"
    log = known.logs.setdefault(number, Log())
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


def _span(log: Log, tail: str | None, span: str | None) -> tuple[int, int | None]:
    if tail is not None:
        lines: Sequence[bytes] = log.data.splitlines(keepends=True)[-int(tail) :] if int(tail) else ()
        return len(log.data) - sum(map(len, lines)), None
    if span is None:
        return 0, None
    first, _, last = span.removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1 if last else None


async def _growing(log: Log, at: int, idle: float) -> AsyncIterator[bytes]:
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
