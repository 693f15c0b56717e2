"""Submit, get, list, stop, and the history of a job."""

import re
from collections.abc import Collection
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.explain import why_not_running
from dartjobs.models.job import Job, JobPage, Transition
from dartjobs.models.problem import FieldProblem, InvalidRequestError, NotFoundError, PackageNotFoundError
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState
from dartjobs.services.ids import new_job_id
from dartjobs.services.platform import Platform
from dartjobs.store import clusters, jobs, packages

_WORKING_DIR = "runtime_env.working_dir"
_PACKAGE = re.compile(r"sha256:[0-9a-f]{64}")


async def submit(platform: Platform, namespace: str, user: str, spec: JobSpec) -> Job:
    """Validate and record a job; it is durable when this returns.

    Raises:
        InvalidRequestError: `runtime_env.working_dir` is no package reference.
        PackageNotFoundError: that package was not uploaded.
    """
    _check_ref(spec.runtime_env.working_dir)
    new = jobs.NewJob(new_job_id(), namespace, user, spec)
    if not await platform.database.write(partial(packages.insert_job, new=new)):
        raise _package_absent(namespace, spec.runtime_env.working_dir)
    await platform.bus.publish(topics.QUEUE)
    return await get(platform, namespace, new.id)


async def get(platform: Platform, namespace: str, job_id: str) -> Job:
    """A job, with why it is not running.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    job = await platform.database.read(partial(jobs.get_job, namespace=namespace, job_id=job_id))
    if job is None:
        raise _absent(namespace, job_id)
    views = await platform.database.read(clusters.views) if job.job_state is JobState.WAITING else []
    return job.model_copy(update={"why": why_not_running(job.attempt, job.spec, views)})


async def list_page(
    platform: Platform,
    namespace: str,
    *,
    states: Collection[JobState],
    name: str | None,
    limit: int,
    cursor: str | None,
) -> JobPage:
    """A page of jobs, newest first."""
    query = jobs.ListQuery(namespace, limit, states, name, cursor)
    found = await platform.database.read(partial(jobs.list_jobs, query=query))
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
        raise _absent(namespace, job_id)
    job, cluster = stopped
    await platform.bus.publish(topics.QUEUE if cluster is None else topics.cluster_topic(cluster))
    await platform.bus.publish(topics.job_topic(job_id))
    return job


async def history(platform: Platform, namespace: str, job_id: str) -> list[Transition]:
    """A job's moves, by attempt and version.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    read = partial(jobs.list_transitions, namespace=namespace, job_id=job_id)
    found = await platform.database.read(read)
    if found is None:
        raise _absent(namespace, job_id)
    return found


def _check_ref(ref: str | None) -> None:
    if ref is not None and not _PACKAGE.fullmatch(ref):
        wrong = FieldProblem(
            field=_WORKING_DIR,
            detail="must be sha256:… of an uploaded package; the client and the CLI upload a folder for you",
        )
        raise InvalidRequestError(errors=[wrong])


def _package_absent(namespace: str, ref: str | None) -> PackageNotFoundError:
    detail = f"{ref} is not in namespace {namespace}: upload it with PUT …/packages/{ref}, then submit again"
    return PackageNotFoundError(errors=[FieldProblem(field=_WORKING_DIR, detail=detail)])


def _absent(namespace: str, job_id: str) -> NotFoundError:
    msg = f"Namespace {namespace} has no job {job_id}. `dartjobs list` shows those that it has."
    return NotFoundError(msg)
