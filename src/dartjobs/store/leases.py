"""Leases with epochs: who may write for a cluster (or for the installation). All times are the database's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.database import StaleError, now
from dartjobs.store.tables import clusters, leases

CONTROLLER = "@controller"
"""The controller's lease; no DNS label, so no cluster can have this name."""
_BLIND_AFTER = 3
"""So many heartbeats missed in a row count as time in which nobody looked."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for `name`, as long as nobody holds a higher epoch."""

    name: str
    holder: str
    epoch: int


async def is_free(conn: AsyncConnection, name: str, holder: str) -> bool:
    """Whether it is worth trying to acquire it: a look that locks nothing."""
    row = (await conn.execute(select(leases).where(leases.c.name == name))).first()
    return (row is None or row.holder == holder or row.expires_at <= await now(conn)) and not await _is_lost(conn, name)


async def acquire(conn: AsyncConnection, name: str, holder: str, duration: timedelta) -> Lease | None:
    """Take or retake the lease under a new epoch; None while another holder's has not expired, or its cluster is lost.

    The time since the last holder's heartbeat is added to the cluster's blind seconds: nobody looked.
    """
    row = await lock_lease(conn, name)
    at = await now(conn)
    if await _is_lost(conn, name):
        return None
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


async def renew(
    conn: AsyncConnection,
    lease: Lease,
    duration: timedelta,
    *,
    period: timedelta | None = None,
    reachable: bool = True,
) -> datetime:
    """Prolong it, and record whether its cluster can be seen. Answers the database's time.

    Time in which nobody looked (more than some heartbeats of `period` were missed) or the cluster was unreachable is
    added to its blind seconds.

    Raises:
        StaleError: it is no longer ours.
    """
    row = await lock_lease(conn, lease.name)
    if row is None or (row.epoch, row.holder) != (lease.epoch, lease.holder):
        raise StaleError
    at = await now(conn)
    mine = leases.c.name == lease.name
    await conn.execute(update(leases).where(mine).values(heartbeat_at=at, expires_at=at + duration))
    if lease.name != CONTROLLER:
        await _record_sight(conn, lease.name, at, at - row.heartbeat_at, period=period, reachable=reachable)
    return at


async def release(conn: AsyncConnection, lease: Lease) -> None:
    """Let go of it, so that a standby need not wait until it expires.

    Raises:
        StaleError: it is no longer ours.
    """
    at = await now(conn)
    mine = (leases.c.name == lease.name) & (leases.c.epoch == lease.epoch) & (leases.c.holder == lease.holder)
    if (await conn.execute(update(leases).where(mine).values(holder="", heartbeat_at=at, expires_at=at))).rowcount != 1:
        raise StaleError


async def check_lease(conn: AsyncConnection, lease: Lease) -> None:
    """See that the epoch is still ours, and keep it so until the end of the transaction.

    The lock is shared: writers under one lease do not wait for each other, and whoever takes it waits for them.

    Raises:
        StaleError: it is not.
    """
    mine = select(leases.c.epoch).where(leases.c.name == lease.name)
    if await conn.scalar(mine.with_for_update(read=True)) != lease.epoch:
        raise StaleError


async def lock_lease(conn: AsyncConnection, name: str) -> Row[Any] | None:
    """The lease's row, locked against every writer under it; None: nobody ever held it."""
    return (await conn.execute(select(leases).where(leases.c.name == name).with_for_update())).first()


async def add_blind_seconds(conn: AsyncConnection, cluster: str, seconds: float) -> None:
    """Add time in which nobody could see the cluster: state deadlines move by it."""
    more = clusters.c.blind_seconds + max(0.0, seconds)
    await conn.execute(update(clusters).where(clusters.c.name == cluster).values(blind_seconds=more))


async def _record_sight(
    conn: AsyncConnection, name: str, at: datetime, gap: timedelta, *, period: timedelta | None, reachable: bool
) -> None:
    since = await conn.scalar(select(clusters.c.unreachable_since).where(clusters.c.name == name))
    values: dict[str, Any] = {"unreachable_since": None if reachable else (since or at)}
    if reachable:
        values["seen_at"] = at
    missed = timedelta(0) if period is None or gap <= _BLIND_AFTER * period else gap - period
    blind = missed if reachable and since is None else gap
    if blind:
        values["blind_seconds"] = clusters.c.blind_seconds + blind.total_seconds()
    await conn.execute(update(clusters).where(clusters.c.name == name).values(values))


async def _is_lost(conn: AsyncConnection, name: str) -> bool:
    return await conn.scalar(select(clusters.c.lost_at).where(clusters.c.name == name)) is not None
