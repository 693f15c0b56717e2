"""Clusters: what each said of itself, and how much of it is promised."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Capacity, ClusterView, Resources
from dartjobs.models.state import ResourceState
from dartjobs.store.database import now
from dartjobs.store.rows import resources_of
from dartjobs.store.tables import attempts, clusters


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
    rows = await conn.execute(select(clusters).order_by(clusters.c.name))
    return [
        ClusterView(
            row.name, _capacity(row.capacity), used.get(row.name, Resources()), row.labels, bool(row.schedulable)
        )
        for row in rows
    ]


async def _used(conn: AsyncConnection) -> dict[str, Resources]:
    live = [ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value]
    sums = [func.sum(attempts.c[name]).label(name) for name in ("cpu_milli", "memory", "gpu")]
    statement = (
        select(attempts.c.cluster, *sums)
        .where(attempts.c.resource_state.in_(live), attempts.c.cluster.is_not(None))
        .group_by(attempts.c.cluster)
    )
    return {row.cluster: resources_of(row.cpu_milli, row.memory, row.gpu) for row in await conn.execute(statement)}


def _capacity(body: dict[str, object]) -> Capacity:
    total = Resources(Decimal(str(body["cpu"])), int(str(body["memory"])), int(str(body["gpu"])))
    return Capacity(total, elastic=bool(body["elastic"]))
