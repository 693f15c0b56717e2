"""Placement: who waits, and who has been promised what."""

import json
import logging
from typing import Any, NamedTuple

from sqlalchemy import Row, Text, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Queued, Resources
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.database import now
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, jobs

_log = logging.getLogger(__name__)
_LIVE = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]


class Place(NamedTuple):
    """A place in the queue, by which its order goes."""

    rank: int
    attempt_id: str


async def queue(
    conn: AsyncConnection, limit: int = 1_000, room: Resources | None = None, after: Place | None = None
) -> tuple[list[Queued], Place | None]:
    """The queue in its order: higher priority first, then older; without those that back off or are to be stopped.

    Also the place after which it goes on; None where that was all.

    Args:
        conn: a transaction.
        limit: at most so many.
        room: only those of which each alone fits into this.
        after: only those behind this place.
    """
    c = attempts.c
    selector = type_coerce(attempts.c.selector, Text).label("selector")
    statement = (
        select(c.id, c.queue_rank, c.cpu_milli, c.memory, c.gpu, selector)
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
    if after is not None:
        behind = (c.queue_rank == after.rank) & (c.id > after.attempt_id)
        statement = statement.where((c.queue_rank > after.rank) | behind)
    rows = (await conn.execute(statement)).all()
    more = Place(rows[-1].queue_rank, rows[-1].id) if len(rows) == limit else None
    return [one for row in rows if (one := _queued(row)) is not None], more


def _queued(row: Row[Any]) -> Queued | None:
    try:
        wanted = dict(json.loads(row.selector)) if row.selector else {}
    except (TypeError, ValueError):
        _log.exception("%s is quarantined: its row is malformed", row.id)
        return None
    return Queued(row.id, resources_of(row.cpu_milli, row.memory, row.gpu), wanted)


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
