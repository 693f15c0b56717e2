"""Clusters: what each said of itself, and how much of it is promised."""

import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Capacity, ClusterView, Resources
from dartjobs.models.cluster import Amount, Cluster, ClusterState
from dartjobs.models.state import ResourceState
from dartjobs.store.audit import record_audit
from dartjobs.store.database import now
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, clusters, leases

_log = logging.getLogger(__name__)


class RecreatedClusterError(Exception):
    """A cluster of this name was registered with another identity: it is not the one that holds our attempts."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a Sync Service says of its cluster."""

    name: str
    identity: str
    capacity: Capacity
    labels: dict[str, str]


async def register(conn: AsyncConnection, registration: Registration) -> None:
    """Record the cluster, or what is new about it.

    Raises:
        RecreatedClusterError: its identity is not the one that was pinned.
    """
    total = registration.capacity.total
    capacity = {
        "cpu": str(total.cpu),
        "memory": total.memory,
        "gpu": total.gpu,
        "elastic": registration.capacity.elastic,
    }
    values = {"labels": registration.labels, "capacity": capacity, "seen_at": await now(conn)}
    row = (await conn.execute(select(clusters).where(clusters.c.name == registration.name).with_for_update())).first()
    if row is None:
        fixed = {"name": registration.name, "identity": registration.identity, "schedulable": 1, "blind_seconds": 0.0}
        await conn.execute(insert(clusters).values(**fixed, **values))
        return
    if row.identity != registration.identity:
        msg = f"cluster {registration.name} was {row.identity} and is now {registration.identity}"
        raise RecreatedClusterError(msg)
    await conn.execute(update(clusters).where(clusters.c.name == registration.name).values(**values))


async def views(conn: AsyncConnection) -> list[ClusterView]:
    """Every cluster with what its live attempts were promised."""
    used = await _used(conn)
    found = []
    for row in await conn.execute(select(clusters).order_by(clusters.c.name)):
        try:
            capacity = _capacity(row.capacity)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            _log.exception("cluster %s is left out: its row is malformed", row.name)
            continue
        promised = used.get(row.name, Resources())
        found.append(ClusterView(row.name, capacity, promised, row.labels, _takes_jobs(row)))
    return found


async def list_clusters(conn: AsyncConnection) -> list[Cluster]:
    """Every cluster as operators see it, by name."""
    return await _shown(conn, select(clusters).order_by(clusters.c.name))


async def get_cluster(conn: AsyncConnection, name: str) -> Cluster | None:
    """One cluster as operators see it; None where there is none of that name."""
    found = await _shown(conn, select(clusters).where(clusters.c.name == name))
    return found[0] if found else None


async def set_schedulable(conn: AsyncConnection, name: str, *, schedulable: bool, by: str) -> bool:
    """Cordon a cluster, or take that back; answers whether that changed anything."""
    other = (clusters.c.name == name) & (clusters.c.schedulable != int(schedulable))
    if (await conn.execute(update(clusters).where(other).values(schedulable=int(schedulable)))).rowcount == 0:
        return False
    action = "uncordon" if schedulable else "cordon"
    await record_audit(conn, await now(conn), by, action, namespace="", job_id=None, detail=name)
    return True


async def _shown(conn: AsyncConnection, statement: Select[Any]) -> list[Cluster]:
    rows = (await conn.execute(statement)).all()
    live = select(attempts.c.cluster, func.count()).where(_is_live()).group_by(attempts.c.cluster)
    counts: dict[str, int] = {row[0]: row[1] for row in await conn.execute(live)}
    held = {row.name: row.expires_at for row in await conn.execute(select(leases.c.name, leases.c.expires_at))}
    used, at = await _used(conn), await now(conn)
    return [
        Cluster(
            name=row.name,
            state=_state(row, is_heard=row.name in held and held[row.name] > at),
            identity=row.identity,
            labels=row.labels,
            capacity=_amount(_capacity(row.capacity).total),
            used=_amount(used.get(row.name, Resources())),
            elastic=_capacity(row.capacity).elastic,
            attempts=counts.get(row.name, 0),
            seen_at=row.seen_at,
            unreachable_since=row.unreachable_since,
            lost_at=row.lost_at,
            lost_by=row.lost_by,
        )
        for row in rows
    ]


def _state(row: Row[Any], *, is_heard: bool) -> ClusterState:
    if row.lost_at is not None:
        return ClusterState.LOST
    if row.unreachable_since is not None or not is_heard:
        return ClusterState.UNREACHABLE
    return ClusterState.READY if row.schedulable else ClusterState.CORDONED


def _takes_jobs(row: Row[Any]) -> bool:
    return bool(row.schedulable) and row.lost_at is None


def _amount(resources: Resources) -> Amount:
    return Amount(cpu=resources.cpu, memory=resources.memory, gpu=resources.gpu)


def _is_live() -> ColumnElement[bool]:
    live = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]
    return attempts.c.resource_state.in_(live) & attempts.c.cluster.is_not(None)


async def _used(conn: AsyncConnection) -> dict[str, Resources]:
    sums = [func.sum(attempts.c[name]).label(name) for name in ("cpu_milli", "memory", "gpu")]
    statement = select(attempts.c.cluster, *sums).where(_is_live()).group_by(attempts.c.cluster)
    return {row.cluster: resources_of(row.cpu_milli, row.memory, row.gpu) for row in await conn.execute(statement)}


def _capacity(body: dict[str, object]) -> Capacity:
    total = Resources(Decimal(str(body["cpu"])), int(str(body["memory"])), int(str(body["gpu"])))
    return Capacity(total, elastic=bool(body["elastic"]))
