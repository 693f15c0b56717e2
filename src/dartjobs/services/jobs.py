"""Get, list and stop jobs, and what is known of one."""

from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.explain import why_not_running
from dartjobs.models.bulk import StopManyResult
from dartjobs.models.job import Attempt, Job, JobPage, Transition
from dartjobs.models.state import JobState
from dartjobs.services.absent import absent_job
from dartjobs.services.platform import Platform
from dartjobs.services.submit import submit
from dartjobs.store import clusters, jobs, listing
from dartjobs.store.listing import JobFilter

__all__ = ["JobFilter", "attempts", "get", "history", "list_page", "requeue", "stop", "stop_many", "submit"]


async def get(platform: Platform, namespace: str, job_id: str) -> Job:
    """A job, with why it is not running.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    job = await platform.database.read(partial(jobs.get_job, namespace=namespace, job_id=job_id))
    if job is None:
        raise absent_job(namespace, job_id)
    if job.job_state is not JobState.WAITING:
        return job.model_copy(update={"why": why_not_running(job, [])})
    views = await platform.database.read(clusters.views)
    return job.model_copy(update={"why": why_not_running(job, views)})


async def list_page(
    platform: Platform, namespace: str, wanted: JobFilter, *, limit: int, cursor: str | None
) -> JobPage:
    """A page of jobs, newest first."""
    read = partial(listing.list_jobs, namespace=namespace, wanted=wanted, limit=limit, before=cursor)
    found = await platform.database.read(read)
    more = len(found) > limit
    return JobPage(items=found[:limit], next_cursor=found[limit - 1].id if more else None)


async def stop(platform: Platform, namespace: str, job_id: str, *, by: str, reason: str) -> Job:
    """Record the wish to stop a job; it is honoured in every state. A job that is over is answered unchanged.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    request = partial(jobs.request_stop, namespace=namespace, job_id=job_id, by=by, reason=reason)
    stopped = await platform.database.write(request)
    if stopped is None:
        raise absent_job(namespace, job_id)
    job, cluster = stopped
    await platform.bus.publish(topics.QUEUE if cluster is None else topics.cluster_topic(cluster))
    await platform.bus.publish(topics.job_topic(job_id))
    return job


async def stop_many(
    platform: Platform, namespace: str, wanted: JobFilter, *, by: str, reason: str, limit: int, cursor: str | None
) -> StopManyResult:
    """Record the wish to stop a page of the jobs that match and are not over, newest first."""
    read = partial(listing.list_ids, namespace=namespace, wanted=wanted, limit=limit, before=cursor)
    found = await platform.database.read(read)
    page = found[:limit]
    request = partial(jobs.request_stops, namespace=namespace, job_ids=page, by=by, reason=reason)
    stopped = await platform.database.write(request)
    for cluster in sorted(stopped.clusters):
        await platform.bus.publish(topics.cluster_topic(cluster))
    await platform.bus.publish(topics.QUEUE)
    for job_id in stopped.job_ids:
        await platform.bus.publish(topics.job_topic(job_id))
    return StopManyResult(
        items=sorted(stopped.job_ids, reverse=True), next_cursor=page[-1] if len(found) > limit else None
    )


async def requeue(
    platform: Platform, namespace: str, job_id: str, *, by: str, reason: str, number: int | None = None
) -> Job:
    """Record the wish that an attempt ends and the job is queued again, without spending a retry.

    `number` is the attempt's; None: the latest.

    Raises:
        NotFoundError: this namespace has none of that id.
        NotRunningError: no cluster works on it.
    """
    request = partial(jobs.request_requeue, namespace=namespace, job_id=job_id, by=by, reason=reason, number=number)
    recorded = await platform.database.write(request)
    if recorded is None:
        raise absent_job(namespace, job_id)
    job, cluster = recorded
    if cluster is not None:
        await platform.bus.publish(topics.cluster_topic(cluster))
        await platform.bus.publish(topics.job_topic(job_id))
    return job


async def attempts(platform: Platform, namespace: str, job_id: str) -> list[Attempt]:
    """A job's attempts, oldest first.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    found = await platform.database.read(partial(jobs.list_attempts, namespace=namespace, job_id=job_id))
    if found is None:
        raise absent_job(namespace, job_id)
    return found


async def history(platform: Platform, namespace: str, job_id: str) -> list[Transition]:
    """A job's moves, by attempt and version.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    read = partial(jobs.list_transitions, namespace=namespace, job_id=job_id)
    found = await platform.database.read(read)
    if found is None:
        raise absent_job(namespace, job_id)
    return found
