"""Clusters: what each said of itself, and how much of it is promised."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Capacity, ClusterView, Resources, view_of
from dartjobs.models.cluster import Amount, Cluster, ClusterState, Settings
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


class Use(NamedTuple):
    """What a cluster's live attempts were promised."""

    attempts: int
    total: Resources


NO_USE = Use(0, Resources())


async def register(conn: AsyncConnection, registration: Registration) -> None:
    """Record the cluster, or what is new about it; at the first sight its identity is pinned.

    What an operator registered of it stays as it is.

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
    if row.identity not in {None, registration.identity}:
        msg = f"cluster {registration.name} was {row.identity} and is now {registration.identity}"
        raise RecreatedClusterError(msg)
    values["identity"] = registration.identity
    await conn.execute(update(clusters).where(clusters.c.name == registration.name).values(**values))


async def views(conn: AsyncConnection) -> list[ClusterView]:
    """Every cluster with what its live attempts were promised, by name."""
    return [view_of(one) for one in await list_clusters(conn)]


async def configured(conn: AsyncConnection, seen: ClusterView) -> ClusterView:
    """A cluster as its Sync Service sees it, under what its operator has set."""
    row = (await conn.execute(select(clusters).where(clusters.c.name == seen.name))).first()
    if row is None:
        return seen
    try:
        settings = settings_of(row.settings)
    except ValueError:
        _log.exception("cluster %s takes nothing: its settings are malformed", seen.name)
        return replace(seen, state=ClusterState.CORDONED)
    return replace(
        seen,
        labels=seen.labels | settings.labels,
        state=_state(row, is_heard=True),
        limits=settings.limits,
        namespaces=settings.namespaces,
        placement=settings.placement,
    )


def settings_of(body: dict[str, Any] | None) -> Settings:
    """What an operator has set, of the column; the defaults where nobody has."""
    return Settings() if body is None else Settings.model_validate(body)


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
    held = {row.name: row.expires_at for row in await conn.execute(select(leases.c.name, leases.c.expires_at))}
    at = await now(conn)
    uses = await uses_of(conn, [row.name for row in rows])
    found = []
    for row in rows:
        try:
            is_heard = row.name in held and held[row.name] > at
            found.append(_cluster_of(row, uses.get(row.name, NO_USE), is_heard=is_heard))
        except (ArithmeticError, KeyError, TypeError, ValueError):
            _log.exception("cluster %s is left out: its row is malformed", row.name)
    return found


def _cluster_of(row: Row[Any], use: Use, *, is_heard: bool) -> Cluster:
    settings, capacity = settings_of(row.settings), _capacity(row.capacity)
    return Cluster(
        name=row.name,
        state=_state(row, is_heard=is_heard),
        identity=row.identity,
        labels=row.labels | settings.labels,
        capacity=_amount(capacity.total),
        used=_amount(use.total),
        limits=settings.limits,
        namespaces=settings.namespaces,
        placement=settings.placement,
        elastic=capacity.elastic,
        attempts=use.attempts,
        cordoned=not row.schedulable,
        seen_at=row.seen_at,
        unreachable_since=row.unreachable_since,
        lost_at=row.lost_at,
        lost_by=row.lost_by,
        added_at=row.added_at,
        added_by=row.added_by,
    )


def _state(row: Row[Any], *, is_heard: bool) -> ClusterState:
    if row.lost_at is not None:
        return ClusterState.LOST
    if row.unreachable_since is not None or not is_heard:
        return ClusterState.UNREACHABLE
    return ClusterState.READY if row.schedulable else ClusterState.CORDONED


def _amount(resources: Resources) -> Amount:
    return Amount(cpu=resources.cpu, memory=resources.memory, gpu=resources.gpu)


def _is_live() -> ColumnElement[bool]:
    live = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]
    return attempts.c.resource_state.in_(live)


async def uses_of(conn: AsyncConnection, names: Sequence[str]) -> dict[str, Use]:
    """By cluster; those that hold nothing are left out."""
    sums = [func.sum(attempts.c[name]).label(name) for name in ("cpu_milli", "memory", "gpu")]
    statement = (
        select(attempts.c.cluster, func.count().label("held"), *sums)
        .where(_is_live(), attempts.c.cluster.in_(names))
        .group_by(attempts.c.cluster)
    )
    return {
        row.cluster: Use(row.held, resources_of(row.cpu_milli, row.memory, row.gpu))
        for row in await conn.execute(statement)
    }


def _capacity(body: dict[str, object] | None) -> Capacity:
    if body is None:
        return Capacity(Resources())
    total = Resources(Decimal(str(body["cpu"])), int(str(body["memory"])), int(str(body["gpu"])))
    return Capacity(total, elastic=bool(body["elastic"]))
