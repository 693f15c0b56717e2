"""Clusters, and what an operator says about them."""

from functools import partial

from dartjobs.bus import base as topics
from dartjobs.models.cluster import Cluster
from dartjobs.services.absent import absent_cluster
from dartjobs.services.platform import Platform
from dartjobs.store import clusters


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
