"""More of the HTTP of the API server in memory: keys, bulk, filters, retry, explain, clusters, uploads in parts."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dartjobs.models.bulk import AttemptList, BatchItem, BatchRequest, BatchResult, StopManyResult
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Job, RequeueRequest
from dartjobs.models.problem import (
    DartJobsError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NotFinishedError,
    NotFoundError,
    NotRunningError,
    PackageNotFoundError,
)
from dartjobs.models.selector import SelectorError, all_hold, parse_selector
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import ResourceState
from tests.fakes.api_clusters import routes_of_clusters

if TYPE_CHECKING:
    from tests.fakes.api import FakeApi, Known

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_BASE = "/api/v1/namespaces/{namespace}"


def answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(by_alias=True), status, headers, "application/json")


def user_of(request: Request) -> str:
    return request.headers.get("x-dartjobs-user", "anonymous")


def spec_of(api: "FakeApi", body: object) -> JobSpec:
    """What a job is made of.

    Raises:
        InvalidRequestError, PackageNotFoundError: it cannot be.
    """
    try:
        spec = JobSpec.model_validate(body)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error
    ref = spec.runtime_env.working_dir
    if ref is not None and ref not in api.packages:
        msg = f"{ref} has not been uploaded."
        raise PackageNotFoundError(msg)
    return spec


async def once(api: "FakeApi", request: Request, make: Callable[[], BaseModel], status: int = 201) -> Response:
    """What `make` makes; for a key that was used before, what it made then."""
    key = request.headers.get("idempotency-key")
    place = (request.path_params["namespace"], user_of(request), key)
    body = request.url.path.encode() + await request.body()
    if key is not None and place in api.keys:
        before, made = api.keys[place]
        if before != body:
            msg = f"The key {key!r} was used for another request."
            raise IdempotencyMismatchError(msg)
        return answer(made, 200, {"idempotency-replayed": "true"})
    made = make()
    if key is not None:
        api.keys[place] = body, made
    return answer(made, status)


def matching(api: "FakeApi", request: Request) -> list[Job]:
    """Newest first."""
    return [
        known.job
        for known in reversed(api.jobs.values())
        if known.job.namespace == request.path_params["namespace"] and _holds(known.job, request)
    ]


def _holds(job: Job, request: Request) -> bool:
    query = request.query_params
    try:
        labels = parse_selector(query.get("selector", ""))
    except SelectorError as error:
        raise InvalidRequestError(str(error)) from error
    active = {"true": True, "false": False}.get(query.get("active", ""))
    wanted = {"user": job.user, "name": job.name, "cluster": job.attempt.cluster}
    return (
        (not query.getlist("state") or job.job_state in query.getlist("state"))
        and all(query.get(key) in {None, value} for key, value in wanted.items())
        and all_hold(labels, job.spec.labels)
        and active in {None, job.finished_at is None}
        and _time(query.get("submitted_after"), _FIRST) <= job.submitted_at
        and job.submitted_at < _time(query.get("submitted_before"), _LAST)
    )


def _time(text: str | None, default: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else default


def routes_of(api: "FakeApi") -> list[Route]:
    """Those of this module."""
    return [_version(api), *_bulk(api), *_of_a_job(api), *routes_of_clusters(api), *_uploads(api)]


def _bulk(api: "FakeApi") -> list[Route]:
    async def batch(request: Request) -> Response:
        items = BatchRequest.model_validate_json(await request.body()).items

        def make() -> BatchResult:
            return BatchResult(items=[_item(api, request, one) for one in items])

        return await once(api, request, make, 200)

    async def stop_many(request: Request) -> Response:
        if not {*request.query_params} - {"all", "cursor"} and request.query_params.get("all") != "true":
            msg = "This would stop every job: give a filter, or all=true."
            raise InvalidRequestError(msg)
        body = await request.body()
        reason = json.loads(body)["reason"] if body else ""
        start = int(request.query_params.get("cursor", 0))
        page = matching(api, request)[start : start + api.stop_page]
        asked = [job for job in page if job.finished_at is None]
        for job in asked:
            api.stopped(api.jobs[job.id], user_of(request), reason)
        more = str(start + api.stop_page) if len(page) == api.stop_page else None
        return answer(StopManyResult(items=[job.id for job in asked], next_cursor=more))

    return [
        Route(f"{_BASE}/jobs/batch", batch, methods=["POST"]),
        Route(f"{_BASE}/jobs/stop", stop_many, methods=["POST"]),
    ]


def _item(api: "FakeApi", request: Request, body: dict[str, Any]) -> BatchItem:
    try:
        spec = spec_of(api, body)
    except DartJobsError as error:
        return BatchItem(problem=error.problem())
    return BatchItem(job=api.submitted(request.path_params["namespace"], user_of(request), spec))


def _of_a_job(api: "FakeApi") -> list[Route]:
    def known(request: Request) -> "Known":
        return api.known(request.path_params["namespace"], request.path_params["id"])

    async def retry(request: Request) -> Response:
        job = known(request).job
        if job.finished_at is None:
            msg = f"Job {job.id} is {job.attempt.pair}: only one that is over is submitted again."
            raise NotFinishedError(msg)
        return await once(
            api, request, lambda: api.submitted(job.namespace, user_of(request), job.spec, retry_of=job.id)
        )

    async def requeue(request: Request) -> Response:
        one = known(request)
        asked = RequeueRequest.model_validate_json(await request.body())
        wish = one.job.requeue
        if asked.attempt is not None and wish is not None and wish.attempt >= asked.attempt:
            return answer(one.job, 202)
        if one.job.attempt.resource_state is ResourceState.QUEUED or one.job.finished_at is not None:
            msg = f"No cluster works on {one.job.id}."
            raise NotRunningError(msg)
        return answer(api.requeued(one, user_of(request), asked.reason), 202)

    async def attempts(request: Request) -> Response:
        one = known(request)
        return answer(AttemptList(items=[*one.earlier, one.job.attempt]))

    async def explain(request: Request) -> Response:
        return answer(_explanation(known(request).job))

    return [
        Route(f"{_BASE}/jobs/{{id}}/retry", retry, methods=["POST"]),
        Route(f"{_BASE}/jobs/{{id}}/requeue", requeue, methods=["POST"]),
        Route(f"{_BASE}/jobs/{{id}}/attempts", attempts),
        Route(f"{_BASE}/jobs/{{id}}/explain", explain),
    ]


def _explanation(job: Job) -> Explanation:
    attempt = job.attempt
    return Explanation(
        job_id=job.id,
        attempt=attempt.number,
        resource_state=attempt.resource_state,
        job_state=attempt.job_state,
        summary=job.why or f"It is {attempt.pair}.",
        reason=attempt.reason,
        category=attempt.category,
        message=attempt.message,
        advice=attempt.advice,
        next="A cluster with room will take it.",
        since=attempt.entered_at,
        position=1 if attempt.resource_state is ResourceState.QUEUED else None,
    )


def _version(api: "FakeApi") -> Route:
    async def version(_: Request) -> Response:
        return JSONResponse({"version": api.version, "api": "v1"})

    return Route("/api/v1/version", version)


def _uploads(api: "FakeApi") -> list[Route]:
    """As in draft-ietf-httpbis-resumable-upload."""

    async def standing(request: Request) -> Response:
        place = (user_of(request), request.path_params["ref"])
        if not api.uploads.get(place):
            raise NotFoundError
        return Response(status_code=204, headers=_offset(api.uploads[place]))

    async def part(request: Request) -> Response:
        ref = request.path_params["ref"]
        place = (user_of(request), ref)
        have = api.uploads.get(place, b"")
        if int(request.headers["upload-offset"]) != len(have):
            problem = {"code": "upload-offset-mismatch", "detail": "Go on from there.", "status": 409}
            body = json.dumps({**problem, "type": "x", "title": "x"}).encode()
            return Response(body, 409, _offset(have), "application/problem+json")
        try:
            async for piece in request.stream():
                have += piece
        except ClientDisconnect:
            return Response()
        finally:
            api.uploads[place] = have
        if request.headers.get("upload-complete") != "?1":
            return Response(status_code=204, headers=_offset(have))
        assert ref == f"sha256:{hashlib.sha256(have).hexdigest()}"
        api.packages[ref] = api.uploads.pop(place)
        return JSONResponse({"ref": ref, "size": len(have)}, 201)

    return [
        Route(f"{_BASE}/packages/{{ref}}/upload", standing, methods=["HEAD"]),
        Route(f"{_BASE}/packages/{{ref}}/upload", part, methods=["PATCH"]),
    ]


def _offset(data: Iterable[int]) -> dict[str, str]:
    return {"upload-offset": str(len(bytes(data)))}
