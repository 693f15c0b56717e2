"""Placement: who waits, and who has been promised what."""

import json
import logging

from sqlalchemy import Text, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Queued, Resources
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.database import now
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, jobs

_log = logging.getLogger(__name__)
_LIVE = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]


async def queue(conn: AsyncConnection, limit: int = 1_000, room: Resources | None = None) -> list[Queued]:
    """The queue in its order: higher priority first, then older; without those that back off or are to be stopped.

    Args:
        conn: a transaction.
        limit: at most so many.
        room: only those of which each alone fits into this.
    """
    selector = type_coerce(attempts.c.selector, Text).label("selector")
    statement = (
        select(attempts.c.id, attempts.c.cpu_milli, attempts.c.memory, attempts.c.gpu, selector)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.resource_state == ResourceState.QUEUED.value, jobs.c.stop_at.is_(None))
        .where((attempts.c.not_before.is_(None)) | (attempts.c.not_before <= await now(conn)))
        .order_by(attempts.c.queue_rank, attempts.c.id)
        .limit(limit)
    )
    if room is not None:
        statement = statement.where(
            attempts.c.cpu_milli <= int(room.cpu * 1_000),
            attempts.c.memory <= room.memory,
            attempts.c.gpu <= room.gpu,
        )
    found = []
    for row in await conn.execute(statement):
        try:
            wanted = dict(json.loads(row.selector)) if row.selector else {}
            found.append(Queued(row.id, resources_of(row.cpu_milli, row.memory, row.gpu), wanted))
        except (TypeError, ValueError):
            _log.exception("%s is quarantined: its row is malformed", row.id)
    return found


async def promised(conn: AsyncConnection, cluster: str) -> dict[str, Resources]:
    """What each attempt that this cluster has claimed and not finished with was promised."""
    columns = attempts.c.id, attempts.c.cpu_milli, attempts.c.memory, attempts.c.gpu
    rows = await conn.execute(
        select(*columns).where(attempts.c.cluster == cluster, attempts.c.resource_state.in_(_LIVE))
    )
    return {row.id: resources_of(row.cpu_milli, row.memory, row.gpu) for row in rows}


async def live_ids(conn: AsyncConnection, cluster: str) -> list[str]:
    """Every attempt that this cluster has claimed and not finished with."""
    mine = select(attempts.c.id).where(attempts.c.cluster == cluster, attempts.c.resource_state.in_(_LIVE))
    return list(await conn.scalars(mine))


async def running_ids(conn: AsyncConnection, cluster: str) -> list[str]:
    """Every attempt of this cluster whose driver runs."""
    running = (attempts.c.resource_state == ResourceState.READY.value) & (
        attempts.c.job_state == JobState.RUNNING.value
    )
    return list(await conn.scalars(select(attempts.c.id).where(attempts.c.cluster == cluster, running)))


async def cluster_of(conn: AsyncConnection, attempt_id: str) -> str | None:
    """The cluster that claimed the attempt."""
    return await conn.scalar(select(attempts.c.cluster).where(attempts.c.id == attempt_id))
