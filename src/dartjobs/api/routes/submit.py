"""Submit: one job, many, or a finished one again."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from dartjobs.api.auth import Principal, admit, allow
from dartjobs.api.problems import documented
from dartjobs.api.routes.common import CONFLICT, IDEMPOTENCY_KEY, REPLAYED, Id, IdempotencyKey, Namespace, UsesPlatform
from dartjobs.api.routes.quick import fitting, json_body, parsed
from dartjobs.models.bulk import BatchRequest, BatchResult
from dartjobs.models.job import Job
from dartjobs.models.spec import DNS_LABEL, JobSpec
from dartjobs.services import submit as service
from dartjobs.services.submit import Caller, Submitted

router = APIRouter(tags=["jobs"])
PERMISSION = "jobs:create"
Creates = Annotated[Principal, allow(PERMISSION)]
_NAMESPACE = re.compile(DNS_LABEL)
_KEY = re.compile(IDEMPOTENCY_KEY)
_ONCE = {**CONFLICT, 200: {"model": Job, "description": "An earlier request with this key made it."}}


class _Quick(APIRoute):
    """Reads its request itself: FastAPI's general way costs more than all the rest of a submission."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What serves a request."""
        return _submit


async def _submit(request: Request) -> Response:
    namespace = fitting("namespace", request.path_params["namespace"], _NAMESPACE)
    key = request.headers.get("idempotency-key")
    if key is not None:
        fitting("idempotency-key", key, _KEY)
    who = await admit(request, PERMISSION)
    spec = parsed(JobSpec, await json_body(request))
    return await submit(namespace, spec, who, request.app.state.platform, idempotency_key=key)


async def submit(
    namespace: Namespace,
    spec: JobSpec,
    who: Creates,
    platform: UsesPlatform,
    *,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record a job; it is durable when this answers."""
    caller = Caller(namespace, who.user, idempotency_key)
    submitted = await service.submit_once(platform, caller, spec)
    headers = _headers(submitted)
    return Response(
        submitted.job.model_dump_json(by_alias=True), 200 if submitted.replayed else 201, headers, "application/json"
    )


router.add_api_route(
    "/jobs",
    submit,
    methods=["POST"],
    status_code=201,
    response_model=Job,
    responses={**_ONCE, **documented(415)},
    route_class_override=_Quick,
)


@router.post("/jobs/batch", responses=CONFLICT)
async def submit_batch(
    namespace: Namespace,
    request: BatchRequest,
    who: Creates,
    platform: UsesPlatform,
    response: Response,
    *,
    idempotency_key: IdempotencyKey = None,
) -> BatchResult:
    """Record many jobs in one transaction; an item that is refused does not hinder the others."""
    caller = Caller(namespace, who.user, idempotency_key)
    result, replayed = await service.submit_batch(platform, caller, request.items)
    if replayed:
        response.headers[REPLAYED] = "true"
    return result


@router.post("/jobs/{job_id}/retry", status_code=201, responses=_ONCE)
async def retry(
    namespace: Namespace,
    job_id: Id,
    who: Creates,
    platform: UsesPlatform,
    response: Response,
    *,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Submit a finished job's specification again, as a new job."""
    caller = Caller(namespace, who.user, idempotency_key)
    return _answered(await service.retry(platform, caller, job_id), response)


def _answered(submitted: Submitted, response: Response) -> Job:
    response.headers.update(_headers(submitted))
    if submitted.replayed:
        response.status_code = 200
    return submitted.job


def _headers(submitted: Submitted) -> dict[str, str]:
    job = submitted.job
    headers = {"Location": f"/api/v1/namespaces/{job.namespace}/jobs/{job.id}"}
    return {**headers, REPLAYED: "true"} if submitted.replayed else headers
