"""Sweeps: deleting what looks like an orphan is a recorded, fenced act."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.state import ResourceState
from dartjobs.store.database import now
from dartjobs.store.leases import Lease, check_lease
from dartjobs.store.tables import attempts, sweeps


async def may_sweep(conn: AsyncConnection, lease: Lease, attempt_id: str, cluster_uid: str | None) -> bool:
    """Under the lease's lock, see once more that the attempt is over, and record the sweep.

    False: the attempt is unknown here (quarantine it, never sweep it) or lives.

    Raises:
        StaleError: the lease is no longer ours.
    """
    await check_lease(conn, lease)
    state = await conn.scalar(select(attempts.c.resource_state).where(attempts.c.id == attempt_id))
    if state != ResourceState.TERMINATED.value:
        return False
    row = {"cluster": lease.name, "attempt_id": attempt_id, "cluster_uid": cluster_uid, "epoch": lease.epoch}
    await conn.execute(insert(sweeps).values(**row, at=await now(conn)))
    return True
