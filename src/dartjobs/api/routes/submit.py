"""Submit: one job, many, or a finished one again."""

from typing import Annotated

from fastapi import APIRouter, Response

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import CONFLICT, REPLAYED, Id, IdempotencyKey, Namespace, UsesPlatform
from dartjobs.models.bulk import BatchRequest, BatchResult
from dartjobs.models.job import Job
from dartjobs.models.spec import JobSpec
from dartjobs.services import submit as service
from dartjobs.services.submit import Caller, Submitted

router = APIRouter(tags=["jobs"])
Creates = Annotated[Principal, allow("jobs:create")]
_ONCE = {**CONFLICT, 200: {"model": Job, "description": "An earlier request with this key made it."}}


@router.post("/jobs", status_code=201, responses=_ONCE)
async def submit(
    namespace: Namespace,
    spec: JobSpec,
    who: Creates,
    platform: UsesPlatform,
    response: Response,
    *,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Record a job; it is durable when this answers."""
    caller = Caller(namespace, who.user, idempotency_key)
    return _answered(await service.submit_once(platform, caller, spec), response)


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
    job = submitted.job
    response.headers["Location"] = f"/api/v1/namespaces/{job.namespace}/jobs/{job.id}"
    if submitted.replayed:
        response.status_code = 200
        response.headers[REPLAYED] = "true"
    return job
