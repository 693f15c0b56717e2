"""Claims: the cluster, its limits and its jobs are looked at again, under locks, in the transaction that takes them."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import NO_LIMITS, Capacity, ClusterView, Queued, Resources, refusal
from dartjobs.core.world import Move
from dartjobs.models.quantity import MOST
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.store.clusters import NO_USE, settings_of, uses_of
from dartjobs.store.database import StaleError, may_be_committed, now
from dartjobs.store.leases import Lease, check_lease
from dartjobs.store.moves import Before, insert_transitions, lock_attempts, lock_jobs, may_run, transition, values_of
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, clusters

_UNBOUNDED = Capacity(Resources(Decimal(MOST), MOST, MOST))
"""What the cluster has is its Sync Service's word, and was looked at before."""
_QUEUED = Pair(ResourceState.QUEUED, JobState.WAITING)
_CLAIMED = Move(Pair(ResourceState.CREATING, JobState.WAITING), Reason.CLAIMED)


async def claim(conn: AsyncConnection, lease: Lease, attempt_id: str, *, actor: str) -> None:
    """Take a queued attempt for the lease's cluster.

    Raises:
        StaleError: it is no longer queued, its job is to be stopped, its cluster may not take it, or the lease is no
            longer ours.
    """
    if not await claim_many(conn, lease, [attempt_id], actor=actor):
        raise StaleError


async def claim_many(conn: AsyncConnection, lease: Lease, attempt_ids: Sequence[str], *, actor: str) -> list[str]:
    """Take queued attempts, in this order, for the lease's cluster; answers those that were taken, by id.

    One that is no longer queued, whose job is to be stopped, or for which its settings have no place, does not hinder
    the others. The cluster's row is held: no cordon and no lower limit is passed by a claim that began before it.

    Raises:
        StaleError: the lease is no longer ours, or an earlier run may have taken some: read anew what is promised.
    """
    if may_be_committed(conn):
        raise StaleError
    await check_lease(conn, lease)
    found = {row.id: row for row in await conn.execute(_statement(attempt_ids))}
    locked = await lock_jobs(conn, {row.job_id for row in found.values()})
    wanted = [found[one] for one in attempt_ids if one in found and may_run(locked.get(found[one].job_id))]
    if not wanted:
        return []
    cluster = (await conn.execute(select(clusters).where(clusters.c.name == lease.name).with_for_update())).first()
    if cluster is not None:
        wanted = await _admitted(conn, cluster, wanted)
    versions = await lock_attempts(conn, [row.id for row in wanted])
    taken = sorted((row for row in wanted if versions.get(row.id) == row.version), key=lambda row: row.id)
    if not taken:
        return []
    at = await now(conn)
    blind = 0.0 if cluster is None else cluster.blind_seconds
    values = values_of(_CLAIMED, at) | {"cluster": lease.name, "blind_at_entry": blind}
    mine = attempts.c.id.in_([row.id for row in taken]) & _is_queued()
    result = await conn.execute(update(attempts).where(mine).values(version=attempts.c.version + 1, **values))
    if result.rowcount != len(taken):
        raise StaleError
    moves = [transition(_before(row), _QUEUED, _CLAIMED, actor=actor, at=at) for row in taken]
    await insert_transitions(conn, moves)
    return [row.id for row in taken]


def _statement(attempt_ids: Sequence[str]) -> Select[Any]:
    names = ("id", "job_id", "number", "version", "namespace", "cpu_milli", "memory", "gpu")
    return select(*(attempts.c[name] for name in names)).where(attempts.c.id.in_(attempt_ids), _is_queued())


async def _admitted(conn: AsyncConnection, cluster: Row[Any], wanted: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Those for which the cluster has a place; what it holds is summed up only where it has limits."""
    if not cluster.schedulable:
        return []
    settings = settings_of(cluster.settings)
    view = ClusterView(cluster.name, _UNBOUNDED, limits=settings.limits, namespaces=settings.namespaces)
    if settings.limits != NO_LIMITS:
        use = (await uses_of(conn, [cluster.name])).get(cluster.name, NO_USE)
        view = replace(view, used=use.total, held=use.attempts)
    admitted = []
    for row in wanted:
        need = resources_of(row.cpu_milli, row.memory, row.gpu)
        if refusal(Queued(row.id, need, namespace=row.namespace), view) is None:
            view = view.with_one_more(need)
            admitted.append(row)
    return admitted


def _before(row: Row[Any]) -> Before:
    return Before(row.id, row.job_id, row.number, row.version)


def _is_queued() -> ColumnElement[bool]:
    return attempts.c.resource_state == ResourceState.QUEUED.value
