"""Evidence: what runners reported through the gateway, inserted with a wake-up in one transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import Evidence
from dartjobs.models.state import ResourceState
from dartjobs.store.database import now
from dartjobs.store.rows import evidence_of
from dartjobs.store.tables import attempts, evidence
from dartjobs.store.wakeups import put_wakeup


async def read_evidence(conn: AsyncConnection, attempt_id: str) -> Evidence:
    """All that was reported for an attempt."""
    rows = await conn.execute(select(evidence).where(evidence.c.attempt_id == attempt_id))
    return evidence_of({row.kind: (row.at, row.body) for row in rows})


async def accepts_reports(conn: AsyncConnection, attempt_id: str) -> bool | None:
    """Whether a runner may still report for it; None: there is no such attempt."""
    state = await conn.scalar(select(attempts.c.resource_state).where(attempts.c.id == attempt_id))
    return None if state is None else state != ResourceState.TERMINATED.value


async def is_log_complete(conn: AsyncConnection, attempt_id: str) -> bool | None:
    """Whether nothing will be added to the attempt's log; None: there is no such attempt."""
    state = await conn.scalar(select(attempts.c.resource_state).where(attempts.c.id == attempt_id))
    if state is None:
        return None
    return state == ResourceState.TERMINATED.value or await conn.scalar(_of(attempt_id, "log_end")) is not None


async def report(conn: AsyncConnection, attempt_id: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Record a report once and wake the attempt's cluster; the first report of a kind stands. Answers what stands."""
    known = await conn.scalar(_of(attempt_id, kind))
    if known is not None:
        return dict(known)
    await conn.execute(insert(evidence).values(attempt_id=attempt_id, kind=kind, at=await now(conn), body=body))
    cluster = await conn.scalar(select(attempts.c.cluster).where(attempts.c.id == attempt_id))
    if cluster is not None:
        await put_wakeup(conn, cluster, attempt_id)
    return body


async def record_heartbeats(conn: AsyncConnection, attempt_ids: list[str]) -> None:
    """Record that these runners are alive: one transaction for many."""
    at: datetime = await now(conn)
    for attempt_id in attempt_ids:
        mine = (evidence.c.attempt_id == attempt_id) & (evidence.c.kind == "heartbeat")
        if (await conn.execute(update(evidence).where(mine).values(at=at))).rowcount == 0:
            await conn.execute(insert(evidence).values(attempt_id=attempt_id, kind="heartbeat", at=at, body={}))


def _of(attempt_id: str, kind: str) -> Select[dict[str, Any]]:
    return select(evidence.c.body).where(evidence.c.attempt_id == attempt_id, evidence.c.kind == kind)
