"""Lost clusters: nobody may write for them but the controller, until an operator readmits them."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import Move, View
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.attempts import record_move
from dartjobs.store.audit import record_audit
from dartjobs.store.database import StaleError, now
from dartjobs.store.leases import Lease, check_lease, lock_lease
from dartjobs.store.tables import attempts, clusters, leases


async def declare_lost(conn: AsyncConnection, name: str, *, by: str, reason: str = "") -> bool:
    """Take the cluster's lease from whoever holds it, under a new epoch, and grant it to nobody.

    The controller ends its attempts; one that is being claimed at this instant is either among them or not claimed.
    False: there is no such cluster, or it is lost already.
    """
    row = await lock_lease(conn, name)
    known = (await conn.execute(select(clusters.c.lost_at).where(clusters.c.name == name).with_for_update())).first()
    if known is None or known.lost_at is not None:
        return False
    at = await now(conn)
    if row is None:
        values = {"name": name, "holder": "", "epoch": 1, "heartbeat_at": at, "expires_at": at}
        await conn.execute(insert(leases).values(values))
    else:
        values = {"holder": "", "epoch": row.epoch + 1, "expires_at": at}
        await conn.execute(update(leases).where(leases.c.name == name).values(values))
    await conn.execute(update(clusters).where(clusters.c.name == name).values(lost_at=at, lost_by=by))
    await record_audit(conn, at, by, "lost", namespace="", job_id=None, detail=f"{name}: {reason}" if reason else name)
    return True


async def readmit(conn: AsyncConnection, name: str, *, by: str) -> bool:
    """Let a Sync Service take the cluster's lease again. False: there is no such cluster, or it is not lost.

    It reads its new epoch first, and takes down what the controller ended in the meantime.
    """
    await lock_lease(conn, name)
    lost = (clusters.c.name == name) & clusters.c.lost_at.is_not(None)
    if (await conn.execute(update(clusters).where(lost).values(lost_at=None, lost_by=None))).rowcount == 0:
        return False
    await record_audit(conn, await now(conn), by, "readmit", namespace="", job_id=None, detail=name)
    return True


async def ids_on_lost_clusters(conn: AsyncConnection, limit: int = 1_000) -> list[str]:
    """Attempts that the controller has to end: live ones on lost clusters, and those kept there for their TTL."""
    going = [ResourceState.CREATING.value, ResourceState.READY.value]
    stopping = (attempts.c.resource_state == ResourceState.TERMINATING.value) & (
        attempts.c.job_state == JobState.STOPPING.value
    )
    names = list(await conn.scalars(select(clusters.c.name).where(clusters.c.lost_at.is_not(None))))
    if not names:
        return []
    statement = (
        select(attempts.c.id)
        .where(attempts.c.cluster.in_(names), attempts.c.resource_state.in_(going) | stopping)
        .order_by(attempts.c.id)
        .limit(limit)
    )
    return list(await conn.scalars(statement))


async def record_lost(conn: AsyncConnection, lease: Lease, view: View, move: Move, *, actor: str) -> None:
    """Record the controller's move of an attempt, while its cluster is lost.

    Raises:
        StaleError: the cluster was readmitted, the lease is lost, or the attempt was changed by somebody else.
    """
    await check_lease(conn, lease)
    name = view.attempt.cluster or ""
    await conn.execute(select(leases.c.epoch).where(leases.c.name == name).with_for_update(read=True))
    if await conn.scalar(select(clusters.c.lost_at).where(clusters.c.name == name)) is None:
        raise StaleError
    await record_move(conn, lease, view, move, actor=actor)
