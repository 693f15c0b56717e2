"""Clusters, for operators."""

from typing import Annotated

from fastapi import APIRouter

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import Name, UsesPlatform
from dartjobs.models.cluster import Cluster, ClusterList
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
