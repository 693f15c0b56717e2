"""What an explanation of a job looks at, read in one transaction."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.explain import Surroundings
from dartjobs.models.job import Job
from dartjobs.models.state import ResourceState
from dartjobs.store.clusters import list_clusters
from dartjobs.store.database import now
from dartjobs.store.jobs import get_job
from dartjobs.store.tables import attempts, clusters


async def read_surroundings(conn: AsyncConnection, namespace: str, job_id: str) -> tuple[Job, Surroundings] | None:
    """The job and what is around it; None where this namespace has no such job."""
    job = await get_job(conn, namespace, job_id)
    if job is None:
        return None
    own = clusters.c.name == (job.attempt.cluster or "")
    around = Surroundings(
        now=await now(conn),
        clusters=await list_clusters(conn),
        position=await queue_position(conn, job.attempt.id),
        blind_seconds=await conn.scalar(select(clusters.c.blind_seconds).where(own)) or 0.0,
    )
    return job, around


async def queue_position(conn: AsyncConnection, attempt_id: str) -> int | None:
    """The place in the queue of an attempt that is in it, 1 for the first."""
    c, queued = attempts.c, ResourceState.QUEUED.value
    mine = select(c.queue_rank).where(c.id == attempt_id, c.resource_state == queued)
    rank = await conn.scalar(mine)
    if rank is None:
        return None
    earlier = (c.queue_rank < rank) | ((c.queue_rank == rank) & (c.id < attempt_id))
    ahead = await conn.scalar(select(func.count()).where(c.resource_state == queued, earlier))
    return (ahead or 0) + 1
