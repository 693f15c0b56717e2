"""Sweeps: deleting what looks like an orphan is a recorded, fenced act."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.state import ResourceState
from dartjobs.store.database import now
from dartjobs.store.leases import Lease, check_lease
from dartjobs.store.tables import attempts, sweeps

_NONE = timedelta(0)


async def sweepable(
    conn: AsyncConnection, cluster: str, attempt_ids: Collection[str], *, grace: timedelta = _NONE
) -> dict[str, bool]:
    """Which of these attempts of the cluster ended `grace` ago and before; those it does not know are left out."""
    c = attempts.c
    known = select(c.id, c.resource_state, c.terminated_at).where(c.id.in_(attempt_ids), c.cluster == cluster)
    at = await now(conn)
    return {row.id: _is_over(row.resource_state, row.terminated_at, at - grace) for row in await conn.execute(known)}


async def may_sweep(
    conn: AsyncConnection, lease: Lease, attempt_id: str, cluster_uid: str | None, *, grace: timedelta = _NONE
) -> bool | None:
    """Under the lease's lock, see once more that the attempt is over, and record the sweep of what was seen.

    None: the attempt is unknown here, or another cluster's: quarantine what is held of it, never sweep it. False: it
    lives, or ended less than `grace` ago.

    Raises:
        StaleError: the lease is no longer ours.
    """
    await check_lease(conn, lease)
    columns = attempts.c.resource_state, attempts.c.cluster, attempts.c.terminated_at
    row = (await conn.execute(select(*columns).where(attempts.c.id == attempt_id))).first()
    if row is None or row.cluster != lease.name:
        return None
    at = await now(conn)
    if not _is_over(row.resource_state, row.terminated_at, at - grace):
        return False
    values = {"cluster": lease.name, "attempt_id": attempt_id, "cluster_uid": cluster_uid, "epoch": lease.epoch}
    await conn.execute(insert(sweeps).values(**values, at=at))
    return True


def _is_over(state: str, terminated_at: datetime | None, by: datetime) -> bool:
    return state == ResourceState.TERMINATED.value and terminated_at is not None and terminated_at <= by
