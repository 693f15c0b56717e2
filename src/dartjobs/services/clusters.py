"""Clusters, and what an operator says about them."""

from functools import partial

from dartjobs.bus import base as topics
from dartjobs.models.cluster import Cluster, DrainResult, Settings
from dartjobs.services.absent import absent_cluster
from dartjobs.services.platform import Platform
from dartjobs.store import clusters, lost, registry


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


async def add(platform: Platform, name: str, settings: Settings, *, by: str, replace: bool) -> Cluster:
    """Register a cluster before it is seen, or say what holds for one that registered itself.

    Raises:
        ClusterExistsError: it is registered with other settings, and these were not to replace them.
    """
    await platform.database.write(partial(registry.add, name=name, settings=settings, by=by, replace=replace))
    await platform.bus.publish(topics.QUEUE)
    return await get(platform, name)


async def drain(platform: Platform, name: str, *, by: str, requeue: bool, reason: str, limit: int = 100) -> DrainResult:
    """Cordon a cluster, and with `requeue` send a page of what runs there back to the queue, spending no retry.

    Raises:
        NotFoundError: there is none of that name.
    """
    await set_schedulable(platform, name, schedulable=False, by=by)
    sent = registry.SentBack([], more=False)
    if requeue:
        why = f"cluster {name} is drained" + (f": {reason}" if reason else "")
        send = partial(registry.send_back, name=name, by=by, reason=why, limit=limit)
        sent = await platform.database.write(send)
        await platform.bus.publish(topics.cluster_topic(name))
        for job_id in sent.job_ids:
            await platform.bus.publish(topics.job_topic(job_id))
    return DrainResult(cluster=await get(platform, name), requeued=sent.job_ids, more=sent.more)


async def remove(platform: Platform, name: str, *, by: str) -> None:
    """Forget a cluster on which nothing lives, or a lost one.

    Raises:
        NotFoundError: there is none of that name.
        ClusterInUseError: it is alive.
    """
    while True:
        removed = await platform.database.write(partial(registry.remove, name=name, by=by))
        if removed is None:
            raise absent_cluster(name)
        if removed:
            await platform.bus.publish(topics.QUEUE)
            return


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
