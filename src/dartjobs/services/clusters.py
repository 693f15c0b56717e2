"""Clusters, and what an operator says about them."""

from functools import partial

from dartjobs.bus import base as topics
from dartjobs.models.cluster import Cluster
from dartjobs.services.absent import absent_cluster
from dartjobs.services.platform import Platform
from dartjobs.store import clusters, lost


async def list_all(platform: Platform) -> list[Cluster]:
    """Every cluster, by name."""
    return await platform.database.read(clusters.list_clusters)


async def get(platform: Platform, name: str) -> Cluster:
    """One cluster.

    Raises:
        NotFoundError: there is none of that name.
    """
    cluster = await platform.database.read(partial(clusters.get_cluster, name=name))
    if cluster is None:
        raise absent_cluster(name)
    return cluster


async def set_schedulable(platform: Platform, name: str, *, schedulable: bool, by: str) -> Cluster:
    """Cordon a cluster, so that it takes no new jobs while those on it go on, or take that back.

    Raises:
        NotFoundError: there is none of that name.
    """
    change = partial(clusters.set_schedulable, name=name, schedulable=schedulable, by=by)
    if await platform.database.write(change) and schedulable:
        await platform.bus.publish(topics.QUEUE)
    return await get(platform, name)


async def declare_lost(platform: Platform, name: str, *, by: str, reason: str) -> Cluster:
    """Give a cluster up: the controller ends its attempts, and it takes nothing until it is readmitted.

    Raises:
        NotFoundError: there is none of that name.
    """
    if await platform.database.write(partial(lost.declare_lost, name=name, by=by, reason=reason)):
        await platform.bus.publish(topics.QUEUE)
    return await get(platform, name)


async def readmit(platform: Platform, name: str, *, by: str) -> Cluster:
    """Let a cluster that was given up take jobs again.

    Raises:
        NotFoundError: there is none of that name.
    """
    if await platform.database.write(partial(lost.readmit, name=name, by=by)):
        await platform.bus.publish(topics.cluster_topic(name))
    return await get(platform, name)
