"""Clusters, for operators."""

from typing import Annotated

from fastapi import APIRouter

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import Name, UsesPlatform
from dartjobs.models.cluster import Cluster, ClusterList
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
