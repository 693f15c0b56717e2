"""Jobs: submit, list, get, stop, events."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from dartjobs.api.routes.common import Id, Namespace, User, UsesPlatform
from dartjobs.models.job import Job, JobId, JobPage, StopRequest, TransitionList
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState
from dartjobs.services import jobs

router = APIRouter(tags=["jobs"])


@router.post("/jobs", status_code=201)
async def submit(namespace: Namespace, spec: JobSpec, user: User, platform: UsesPlatform, response: Response) -> Job:
    """Record a job; it is durable when this answers."""
    job = await jobs.submit(platform, namespace, user, spec)
    response.headers["Location"] = f"/api/v1/namespaces/{namespace}/jobs/{job.id}"
    return job


@router.get("/jobs")
async def list_jobs(
    namespace: Namespace,
    platform: UsesPlatform,
    *,
    state: Annotated[list[JobState] | None, Query(description="Only these; may be repeated.")] = None,
    name: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: JobId | None = None,
) -> JobPage:
    """A page of jobs, newest first."""
    return await jobs.list_page(platform, namespace, states=state or [], name=name, limit=limit, cursor=cursor)


@router.get("/jobs/{job_id}")
async def get(namespace: Namespace, job_id: Id, platform: UsesPlatform) -> Job:
    """One job, with why it is not running."""
    return await jobs.get(platform, namespace, job_id)


@router.post("/jobs/{job_id}/stop", status_code=202)
async def stop(
    namespace: Namespace, job_id: Id, user: User, platform: UsesPlatform, request: StopRequest | None = None
) -> Job:
    """Ask for a stop; honoured in every state. A job that is over is answered unchanged."""
    return await jobs.stop(platform, namespace, job_id, by=user, reason=request.reason if request else "")


@router.get("/jobs/{job_id}/events")
async def events(namespace: Namespace, job_id: Id, platform: UsesPlatform) -> TransitionList:
    """Every move of every attempt, oldest first."""
    return TransitionList(items=await jobs.history(platform, namespace, job_id))
