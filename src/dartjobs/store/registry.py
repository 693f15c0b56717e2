"""Clusters as an operator registers, empties and removes them."""

from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.cluster import Settings
from dartjobs.models.problem import ClusterExistsError, ClusterInUseError, NotRunningError
from dartjobs.models.reason import Reason
from dartjobs.models.state import FINAL, JobState, Pair, ResourceState
from dartjobs.store.attempts import Recorded, load_many, record_changes
from dartjobs.store.audit import record_audit
from dartjobs.store.clusters import settings_of
from dartjobs.store.database import may_be_committed, now
from dartjobs.store.due import make_all_due
from dartjobs.store.jobs import request_requeue
from dartjobs.store.leases import Lease, lock_lease
from dartjobs.store.loading import Loaded
from dartjobs.store.tables import attempts, clusters, gateways, jobs, leases, wakeups

_LIVE = [state.value for state in ResourceState if state not in {ResourceState.QUEUED, ResourceState.TERMINATED}]
_AT_ONCE = 200


async def add(conn: AsyncConnection, name: str, settings: Settings, *, by: str, replace: bool = False) -> None:
    """Register a cluster, whether it was seen yet or not; the same again changes nothing.

    Raises:
        ClusterExistsError: it is registered with other settings, and these were not to replace them.
    """
    row = (await conn.execute(select(clusters).where(clusters.c.name == name).with_for_update())).first()
    at = await now(conn)
    values = {"settings": settings, "added_at": at, "added_by": by}
    if row is None:
        fresh = {"name": name, "labels": {}, "schedulable": 1, "blind_seconds": 0.0}
        await conn.execute(insert(clusters).values(fresh | values))
    elif row.added_at is not None and settings_of(row.settings) == settings:
        return
    elif row.added_at is not None and not replace:
        msg = (
            f"Cluster {name} is registered with other settings: `--replace` (`replace=true`) puts these in their place."
        )
        raise ClusterExistsError(msg)
    else:
        await conn.execute(update(clusters).where(clusters.c.name == name).values(values))
    await record_audit(conn, at, by, "cluster-add", namespace="", job_id=None, detail=f"{name}: {settings!r}")
    await make_all_due(conn)


@dataclass(frozen=True, slots=True)
class SentBack:
    """What became of a page of a drain."""

    job_ids: list[str]
    more: bool
    """There may be others."""


async def send_back(conn: AsyncConnection, name: str, *, by: str, reason: str, limit: int) -> SentBack:
    """Ask that attempts on a cluster end and their jobs are queued again; those that were asked before are left out."""
    c = attempts.c
    asked = jobs.c.requeue_attempt.is_not(None) & (jobs.c.requeue_attempt == c.number)
    statement = (
        select(c.job_id, c.number, c.namespace)
        .join(jobs, jobs.c.id == c.job_id)
        .where(c.cluster == name, c.resource_state.in_([ResourceState.CREATING.value, ResourceState.READY.value]))
        .where(c.job_state.in_([JobState.WAITING.value, JobState.RUNNING.value]), jobs.c.stop_at.is_(None), ~asked)
        .order_by(c.job_id)
        .limit(limit)
    )
    rows = (await conn.execute(statement)).all()
    sent = []
    for row in rows:
        try:
            await request_requeue(conn, row.namespace, row.job_id, by=by, reason=reason, number=row.number)
        except NotRunningError:
            continue  # it ended meanwhile
        sent.append(row.job_id)
    return SentBack(sent, more=len(rows) == limit)


async def remove(conn: AsyncConnection, name: str, *, by: str) -> bool | None:
    """Forget a cluster; its lease stays, so that no older epoch is ever granted again.

    What the controller has ended on a lost one is let go of, a page in a transaction. True: it is gone; False: go on;
    None: there is no such cluster.

    Raises:
        ClusterInUseError: attempts live there, or its Sync Service runs; of a lost one, attempts are yet to be ended.
    """
    lease = await lock_lease(conn, name)
    row = (await conn.execute(select(clusters).where(clusters.c.name == name).with_for_update())).first()
    if row is None:
        return True if may_be_committed(conn) else None
    at = await now(conn)
    if row.lost_at is not None and lease is not None:
        if await _let_go(conn, Lease(name, lease.holder, lease.epoch), by=by):
            return False
    elif lease is not None and lease.expires_at > at:
        msg = (
            f"The Sync Service of cluster {name} ({lease.holder}) would register it again: stop it first. Its lease "
            f"ends at {lease.expires_at:%H:%M:%S} UTC, unless it is prolonged."
        )
        raise ClusterInUseError(msg)
    await _check_empty(conn, name, is_lost=row.lost_at is not None)
    if lease is not None:
        fenced = {"holder": "", "epoch": lease.epoch + 1, "expires_at": at}
        await conn.execute(update(leases).where(leases.c.name == name).values(fenced))
    for table in (wakeups, gateways):
        await conn.execute(delete(table).where(table.c.cluster == name))
    await conn.execute(delete(clusters).where(clusters.c.name == name))
    await record_audit(conn, at, by, "cluster-remove", namespace="", job_id=None, detail=name)
    await make_all_due(conn)
    return True


async def _check_empty(conn: AsyncConnection, name: str, *, is_lost: bool) -> None:
    live = (attempts.c.cluster == name) & attempts.c.resource_state.in_(_LIVE)
    count = await conn.scalar(select(func.count()).where(live)) or 0
    if count == 0:
        return
    if is_lost:
        msg = (
            f"Cluster {name} is lost, and the controller has yet to end {count} attempts on it: ask again in a moment."
        )
        raise ClusterInUseError(msg)
    msg = (
        f"{count} attempts live on cluster {name}: `dartjobs cluster drain {name} --wait` empties it. If it will never "
        f"come back, `dartjobs cluster lost {name}` first."
    )
    raise ClusterInUseError(msg)


async def _let_go(conn: AsyncConnection, lease: Lease, *, by: str) -> int:
    """End, unseen, what is over on a lost cluster; answers how many were ended."""
    over = attempts.c.job_state.in_([state.value for state in FINAL])
    mine = (attempts.c.cluster == lease.name) & (attempts.c.resource_state == ResourceState.TERMINATING.value)
    ids = list(await conn.scalars(select(attempts.c.id).where(mine, over).order_by(attempts.c.id).limit(_AT_ONCE)))
    changes = [_unseen(one) for one in (await load_many(conn, ids)).values() if isinstance(one, Loaded)]
    return (await record_changes(conn, lease, changes, actor=by)).count(None)


def _unseen(loaded: Loaded) -> Recorded:
    attempt, view = loaded.attempt, loaded.view(UNREACHABLE)
    target = Pair(ResourceState.TERMINATED, attempt.job_state)
    message = f"Cluster {attempt.cluster} was lost and removed: nobody saw what was left there."
    return Recorded(view, Move(target, Reason.CLUSTER_LOST, message))
