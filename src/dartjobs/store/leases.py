"""Leases with epochs: who may write for a cluster (or for the installation)."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.database import StaleError, now
from dartjobs.store.tables import clusters, leases


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for `name`, as long as nobody holds a higher epoch."""

    name: str
    holder: str
    epoch: int


async def acquire(conn: AsyncConnection, name: str, holder: str, duration: timedelta) -> Lease | None:
    """Take or retake the lease under a new epoch; None while another holder's has not expired.

    The time since the last holder's heartbeat is added to the cluster's blind seconds: nobody looked.
    """
    at = await now(conn)
    row = (await conn.execute(select(leases).where(leases.c.name == name).with_for_update())).first()
    if row is None:
        values = {"name": name, "holder": holder, "epoch": 1, "heartbeat_at": at, "expires_at": at + duration}
        await conn.execute(insert(leases).values(values))
        return Lease(name, holder, 1)
    if row.holder != holder and row.expires_at > at:
        return None
    lease = Lease(name, holder, row.epoch + 1)
    values = {"holder": holder, "epoch": lease.epoch, "heartbeat_at": at, "expires_at": at + duration}
    await conn.execute(update(leases).where(leases.c.name == name).values(values))
    await add_blind_seconds(conn, name, (at - row.heartbeat_at).total_seconds())
    return lease


async def renew(conn: AsyncConnection, lease: Lease, duration: timedelta) -> None:
    """Prolong it.

    Raises:
        StaleError: it is no longer ours.
    """
    at = await now(conn)
    mine = (leases.c.name == lease.name) & (leases.c.epoch == lease.epoch) & (leases.c.holder == lease.holder)
    result = await conn.execute(update(leases).where(mine).values(heartbeat_at=at, expires_at=at + duration))
    if result.rowcount != 1:
        raise StaleError


async def release(conn: AsyncConnection, name: str, holder: str) -> None:
    """Let another holder take it at once; what is no longer ours stays as it is."""
    mine = (leases.c.name == name) & (leases.c.holder == holder)
    await conn.execute(update(leases).where(mine).values(expires_at=await now(conn)))


async def check_lease(conn: AsyncConnection, lease: Lease) -> None:
    """Lock the lease's row and see that the epoch is still ours.

    Raises:
        StaleError: it is not.
    """
    epoch = await conn.scalar(select(leases.c.epoch).where(leases.c.name == lease.name).with_for_update())
    if epoch != lease.epoch:
        raise StaleError


async def add_blind_seconds(conn: AsyncConnection, cluster: str, seconds: float) -> None:
    """Add time in which nobody could see the cluster: state deadlines move by it."""
    more = clusters.c.blind_seconds + max(0.0, seconds)
    await conn.execute(update(clusters).where(clusters.c.name == cluster).values(blind_seconds=more))
