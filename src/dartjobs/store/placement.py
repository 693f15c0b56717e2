"""Placement: who waits, and who has been promised what."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, Text, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import ClusterView, Queued, Resources
from dartjobs.models.cluster import ClusterState, Placement
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.clusters import configured, views
from dartjobs.store.database import now
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, jobs

_log = logging.getLogger(__name__)
_LIVE = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]


class Place(NamedTuple):
    """A place in the queue, by which its order goes."""

    rank: int
    attempt_id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a cluster looks at before it claims, all of one moment."""

    cluster: ClusterView
    """Itself, under its operator's settings."""
    queue: list[Queued]
    others: list[ClusterView]
    """The other clusters; none where nothing is left to any of them."""
    at: datetime
    more: Place | None
    """After which the queue goes on; None: this was the end of it."""


async def waiting(conn: AsyncConnection, seen: ClusterView, limit: int, after: Place | None = None) -> Waiting:
    """A page of the queue, of what alone would fit into a cluster, and the clusters to which it may leave some.

    Args:
        conn: a connection.
        seen: the cluster as its Sync Service sees it.
        limit: at most so many.
        after: only those behind this place.
    """
    at, mine = await now(conn), await configured(conn, seen)
    if mine.state is not ClusterState.READY or not mine.has_room:
        return Waiting(mine, [], [], at, None)
    statement = _queue(at, limit, mine.free, after)
    if mine.namespaces:
        statement = statement.where(attempts.c.namespace.in_(mine.namespaces))
    queued, more = await _page(conn, statement, limit)
    others: list[ClusterView] = []
    if mine.placement is not Placement.FIRST or any(one.avoid == mine.name for one in queued):
        others = [one for one in await views(conn) if one.name != mine.name]
    return Waiting(mine, queued, others, at, more)


async def queue(
    conn: AsyncConnection, limit: int = 1_000, room: Resources | None = None, after: Place | None = None
) -> tuple[list[Queued], Place | None]:
    """The queue in its order: higher priority first, then older; without those that back off or are to be stopped.

    Also the place after which it goes on; None where that was all.

    Args:
        conn: a connection.
        limit: at most so many.
        room: only those of which each alone fits into this.
        after: only those behind this place.
    """
    return await _page(conn, _queue(await now(conn), limit, room, after), limit)


def _queue(at: datetime, limit: int, room: Resources | None, after: Place | None) -> Select[Any]:
    c = attempts.c
    columns = (c.id, c.queue_rank, c.cpu_milli, c.memory, c.gpu, c.namespace, c.avoid, c.created_at, c.not_before)
    selector = type_coerce(attempts.c.selector, Text).label("selector")
    statement = (
        select(*columns, selector)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.resource_state == ResourceState.QUEUED.value, jobs.c.stop_at.is_(None))
        .where((attempts.c.not_before.is_(None)) | (attempts.c.not_before <= at))
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
    return statement


async def _page(conn: AsyncConnection, statement: Select[Any], limit: int) -> tuple[list[Queued], Place | None]:
    rows = (await conn.execute(statement)).all()
    more = Place(rows[-1].queue_rank, rows[-1].id) if len(rows) == limit else None
    return [one for row in rows if (one := _queued(row)) is not None], more


def _queued(row: Row[Any]) -> Queued | None:
    try:
        wanted = dict(json.loads(row.selector)) if row.selector else {}
    except (TypeError, ValueError):
        _log.exception("%s is quarantined: its row is malformed", row.id)
        return None
    need, since = resources_of(row.cpu_milli, row.memory, row.gpu), row.not_before or row.created_at
    return Queued(row.id, need, wanted, row.namespace, row.avoid, since)


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
