"""Clusters, for operators."""

from typing import Annotated

from fastapi import APIRouter, Query

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import CONFLICT, Name, UsesPlatform
from dartjobs.models.cluster import Cluster, ClusterList, DrainRequest, DrainResult, Settings, SettingsRequest
from dartjobs.models.job import StopRequest
from dartjobs.services import clusters

router = APIRouter(prefix="/api/v1/clusters", tags=["clusters"])
Reads = Annotated[Principal, allow("clusters:read")]
Operates = Annotated[Principal, allow("clusters:operate")]


@router.get("")
async def list_clusters(platform: UsesPlatform, _who: Reads) -> ClusterList:
    """Every cluster, by name."""
    return ClusterList(items=await clusters.list_all(platform))


@router.get("/{name}")
async def get(name: Name, platform: UsesPlatform, _who: Reads) -> Cluster:
    """One cluster."""
    return await clusters.get(platform, name)


@router.put("/{name}", responses=CONFLICT)
async def add(
    name: Name,
    request: SettingsRequest,
    platform: UsesPlatform,
    who: Operates,
    *,
    replace: Annotated[bool, Query(description="These settings take the place of others.")] = False,
) -> Cluster:
    """Register it with these settings, whole. The same may be said again; others need `replace`."""
    settings = Settings.model_validate(request.model_dump())
    return await clusters.add(platform, name, settings, by=who.user, replace=replace)


@router.delete("/{name}", status_code=204, responses=CONFLICT)
async def remove(name: Name, platform: UsesPlatform, who: Operates) -> None:
    """Forget it. Refused while attempts live there or its Sync Service runs, unless it is declared lost."""
    await clusters.remove(platform, name, by=who.user)


@router.post("/{name}/drain")
async def drain(name: Name, platform: UsesPlatform, who: Operates, request: DrainRequest | None = None) -> DrainResult:
    """It takes no new jobs; those on it end, or, with `requeue`, go back to the queue, a page with each request."""
    asked = request or DrainRequest()
    return await clusters.drain(platform, name, by=who.user, requeue=asked.requeue, reason=asked.reason)


@router.post("/{name}/cordon")
async def cordon(name: Name, platform: UsesPlatform, who: Operates) -> Cluster:
    """It takes no new jobs; those on it go on."""
    return await clusters.set_schedulable(platform, name, schedulable=False, by=who.user)


@router.post("/{name}/uncordon")
async def uncordon(name: Name, platform: UsesPlatform, who: Operates) -> Cluster:
    """It takes jobs again."""
    return await clusters.set_schedulable(platform, name, schedulable=True, by=who.user)


@router.post("/{name}/lost")
async def declare_lost(
    name: Name, platform: UsesPlatform, who: Operates, request: StopRequest | None = None
) -> Cluster:
    """It is given up: its attempts end with CLUSTER_LOST, and it takes nothing until it is readmitted."""
    reason = request.reason if request else ""
    return await clusters.declare_lost(platform, name, by=who.user, reason=reason)


@router.post("/{name}/readmit")
async def readmit(name: Name, platform: UsesPlatform, who: Operates) -> Cluster:
    """It is back, and may take jobs again."""
    return await clusters.readmit(platform, name, by=who.user)
