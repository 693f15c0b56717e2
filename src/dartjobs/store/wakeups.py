"""Wake-ups: rows that say "look at this attempt", deleted only under the generation that was read."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.tables import attempts, wakeups
from dartjobs.store.upsert import upsert


class Wakeup(NamedTuple):
    """One wake-up; `gen` is never used again, so a newer one is never deleted with an older."""

    attempt_id: str
    gen: str


async def put_wakeup(conn: AsyncConnection, cluster: str, attempt_id: str) -> None:
    """Ask the cluster's Sync Service to look at the attempt."""
    await put_wakeups(conn, cluster, [attempt_id])


async def put_wakeups(conn: AsyncConnection, cluster: str, attempt_ids: Sequence[str]) -> None:
    """Ask the cluster's Sync Service to look at these attempts."""
    rows = [{"cluster": cluster, "attempt_id": one, "gen": uuid.uuid4().hex} for one in sorted(attempt_ids)]
    await upsert(conn, wakeups, rows, update=["gen"])


async def wake_job(conn: AsyncConnection, job_id: str) -> str | None:
    """Wake the cluster that has claimed the job's live attempt; answers its name, or None if none has."""
    claimed = select(attempts.c.id, attempts.c.cluster).where(
        attempts.c.job_id == job_id, attempts.c.cluster.is_not(None), attempts.c.terminated_at.is_(None)
    )
    cluster = None
    for row in (await conn.execute(claimed)).all():
        cluster = row.cluster
        await put_wakeup(conn, row.cluster, row.id)
    return cluster


async def read_wakeups(conn: AsyncConnection, cluster: str, limit: int = 1_000) -> list[Wakeup]:
    """What this cluster was asked to look at."""
    statement = select(wakeups.c.attempt_id, wakeups.c.gen).where(wakeups.c.cluster == cluster).limit(limit)
    return [Wakeup(row.attempt_id, row.gen) for row in await conn.execute(statement)]


async def delete_wakeup(conn: AsyncConnection, cluster: str, wakeup: Wakeup) -> None:
    """Forget a wake-up that was processed, unless a newer one has taken its place."""
    await delete_wakeups(conn, cluster, [wakeup])


async def delete_wakeups(conn: AsyncConnection, cluster: str, processed: Sequence[Wakeup]) -> None:
    """Forget wake-ups that were processed, unless newer ones have taken their places."""
    if not processed:
        return
    ids, gens = sorted({one.attempt_id for one in processed}), [one.gen for one in processed]
    mine = (wakeups.c.cluster == cluster) & wakeups.c.attempt_id.in_(ids) & wakeups.c.gen.in_(gens)
    await conn.execute(delete(wakeups).where(mine))
