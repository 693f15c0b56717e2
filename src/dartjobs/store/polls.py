"""All that a Sync Service has to ask the database while nothing happens, in one statement."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, exists, literal, null, select, type_coerce, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.state import ResourceState
from dartjobs.store.tables import Instant, attempts, clusters, gateways, wakeups
from dartjobs.store.wakeups import Wakeup

_QUEUE, _GATEWAY = "@queue", "@gateway"
"""No attempt has such an id."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What is new for a cluster."""

    wakeups: list[Wakeup]
    may_claim: bool
    """Something is queued, and the cluster takes jobs."""
    gateway_seen_at: datetime | None


async def poll(conn: AsyncConnection, cluster: str, limit: int = 1_000) -> Poll:
    """Read the cluster's wake-ups (at most `limit`), whether anything is queued, and its gateway's sign of life."""
    nothing = cast(null(), BigInteger)
    mine = select(wakeups.c.attempt_id, wakeups.c.gen).where(wakeups.c.cluster == cluster).limit(limit).subquery()
    queued = exists().where(attempts.c.resource_state == ResourceState.QUEUED.value)
    open_ = (clusters.c.name == cluster) & (clusters.c.schedulable == 1) & clusters.c.lost_at.is_(None)
    statement = union_all(
        select(mine.c.attempt_id, mine.c.gen, nothing.label("at")),
        select(literal(_QUEUE), literal(""), nothing).select_from(clusters).where(open_, queued),
        select(literal(_GATEWAY), literal(""), type_coerce(gateways.c.seen_at, BigInteger)).where(
            gateways.c.cluster == cluster
        ),
    )
    rows = {row[0]: row for row in await conn.execute(statement)}
    gateway, queue = rows.pop(_GATEWAY, None), rows.pop(_QUEUE, None)
    seen_at = None if gateway is None else Instant().process_result_value(gateway[2], conn.dialect)
    return Poll([Wakeup(row[0], row[1]) for row in rows.values()], queue is not None, seen_at)
