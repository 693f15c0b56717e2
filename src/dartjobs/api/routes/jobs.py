"""Jobs: list, get, stop, attempts, events, why."""

from typing import Annotated

from fastapi import APIRouter, Query

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import CONFLICT, Id, Namespace, UsesPlatform
from dartjobs.api.routes.filters import Filter
from dartjobs.models.bulk import AttemptList, StopManyRequest, StopManyResult
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Job, JobId, JobPage, RequeueRequest, StopRequest, TransitionList
from dartjobs.models.problem import InvalidRequestError
from dartjobs.services import jobs
from dartjobs.services.explain import explain

router = APIRouter(tags=["jobs"])
Reads = Annotated[Principal, allow("jobs:read")]
Stops = Annotated[Principal, allow("jobs:stop")]
Operates = Annotated[Principal, allow("jobs:operate")]
Cursor = Annotated[JobId | None, Query(description="`next_cursor` of the page before.")]
_NO_REASON = StopRequest()


@router.get("/jobs")
async def list_jobs(
    namespace: Namespace,
    platform: UsesPlatform,
    wanted: Filter,
    _who: Reads,
    *,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Cursor = None,
) -> JobPage:
    """A page of jobs, newest first."""
    return await jobs.list_page(platform, namespace, wanted, limit=limit, cursor=cursor)


@router.post("/jobs/stop")
async def stop_many(
    namespace: Namespace,
    platform: UsesPlatform,
    wanted: Filter,
    who: Stops,
    request: StopManyRequest | None = None,
    *,
    all_: Annotated[bool, Query(alias="all", description="Needed where no filter is given.")] = False,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    cursor: Cursor = None,
) -> StopManyResult:
    """Ask for a stop of every job that matches and is not over, a page at a time, newest first."""
    if wanted.is_empty and not all_:
        msg = "This would stop every job of the namespace: give a filter, or all=true if you mean it."
        raise InvalidRequestError(msg)
    reason = (request or StopManyRequest()).reason
    return await jobs.stop_many(platform, namespace, wanted, by=who.user, reason=reason, limit=limit, cursor=cursor)


@router.get("/jobs/{job_id}")
async def get(namespace: Namespace, job_id: Id, platform: UsesPlatform, _who: Reads) -> Job:
    """One job, with why it is not running."""
    return await jobs.get(platform, namespace, job_id)


@router.post("/jobs/{job_id}/stop", status_code=202)
async def stop(
    namespace: Namespace, job_id: Id, who: Stops, platform: UsesPlatform, request: StopRequest | None = None
) -> Job:
    """Ask for a stop; honoured in every state. A job that is over is answered unchanged."""
    reason = (request or _NO_REASON).reason
    return await jobs.stop(platform, namespace, job_id, by=who.user, reason=reason)


@router.post("/jobs/{job_id}/requeue", status_code=202, responses=CONFLICT)
async def requeue(
    namespace: Namespace, job_id: Id, who: Operates, platform: UsesPlatform, request: RequeueRequest | None = None
) -> Job:
    """Ask that an attempt ends where it is and the job is queued again; no retry is spent."""
    asked = request or RequeueRequest()
    return await jobs.requeue(platform, namespace, job_id, by=who.user, reason=asked.reason, number=asked.attempt)


@router.get("/jobs/{job_id}/attempts")
async def attempts(namespace: Namespace, job_id: Id, platform: UsesPlatform, _who: Reads) -> AttemptList:
    """Every attempt, oldest first."""
    return AttemptList(items=await jobs.attempts(platform, namespace, job_id))


@router.get("/jobs/{job_id}/explain")
async def explain_job(namespace: Namespace, job_id: Id, platform: UsesPlatform, _who: Reads) -> Explanation:
    """Why it is not running, or why it ended, and what comes next."""
    return await explain(platform, namespace, job_id)


@router.get("/jobs/{job_id}/events")
async def events(namespace: Namespace, job_id: Id, platform: UsesPlatform, _who: Reads) -> TransitionList:
    """Every move of every attempt, oldest first."""
    return TransitionList(items=await jobs.history(platform, namespace, job_id))
