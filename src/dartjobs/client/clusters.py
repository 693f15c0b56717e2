"""Clusters, for operators."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dartjobs.client import typed
from dartjobs.models.cluster import Cluster

if TYPE_CHECKING:
    from dartjobs.client.async_shell import AsyncShell
    from dartjobs.client.calls import Calls
    from dartjobs.client.session import Session


class Clusters:
    """`client.clusters`."""

    def __init__(self, session: "Session") -> None:
        self._calls, self._run = session.calls, session.run

    def list(self) -> Sequence[Cluster]:
        """Every cluster, by name."""
        return typed.as_clusters(self._run(self._calls.clusters()))

    def get(self, name: str) -> Cluster:
        """One cluster."""
        return typed.as_cluster(self._run(self._calls.cluster(name)))

    def cordon(self, name: str) -> Cluster:
        """It takes no new jobs; those that run go on."""
        return typed.as_cluster(self._run(self._calls.change_cluster(name, "cordon")))

    def uncordon(self, name: str) -> Cluster:
        """It takes jobs again."""
        return typed.as_cluster(self._run(self._calls.change_cluster(name, "uncordon")))

    def lost(self, name: str, reason: str = "") -> Cluster:
        """Declare it lost: its attempts end here, and their jobs are tried elsewhere where they may be retried."""
        return typed.as_cluster(self._run(self._calls.change_cluster(name, "lost", reason)))

    def readmit(self, name: str) -> Cluster:
        """A lost cluster is back: it takes jobs again."""
        return typed.as_cluster(self._run(self._calls.change_cluster(name, "readmit")))


class AsyncClusters:
    """`client.clusters`, for asyncio."""

    def __init__(self, calls: "Calls", shell: "AsyncShell") -> None:
        self._calls, self._run = calls, shell.run

    async def list(self) -> Sequence[Cluster]:
        """Every cluster, by name."""
        return typed.as_clusters(await self._run(self._calls.clusters()))

    async def get(self, name: str) -> Cluster:
        """One cluster."""
        return typed.as_cluster(await self._run(self._calls.cluster(name)))

    async def cordon(self, name: str) -> Cluster:
        """See `Clusters.cordon`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "cordon")))

    async def uncordon(self, name: str) -> Cluster:
        """See `Clusters.uncordon`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "uncordon")))

    async def lost(self, name: str, reason: str = "") -> Cluster:
        """See `Clusters.lost`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "lost", reason)))

    async def readmit(self, name: str) -> Cluster:
        """See `Clusters.readmit`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "readmit")))
