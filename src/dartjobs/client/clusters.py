"""Clusters, for operators."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dartjobs.client import typed
from dartjobs.client.effects import Json
from dartjobs.client.spec_problems import field_problems
from dartjobs.models.cluster import Cluster, Limits, Placement, Settings
from dartjobs.models.problem import InvalidRequestError

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

    def add(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        namespaces: Sequence[str] = (),
        placement: Placement | str = Placement.FIRST,
        replace: bool = False,
    ) -> Cluster:
        """Register a cluster, seen or not; its settings win over what its Sync Service says.

        Args:
            name: as its Sync Service names it.
            labels: what `cluster_selector` is matched with, beside the Sync Service's own.
            limits: the most that it may hold at once.
            namespaces: whose jobs may run there; none: everybody's.
            placement: `first`, `pack` or `spread`.
            replace: these settings take the place of those that it has, whole.

        Raises:
            ClusterExistsError: it is registered with other settings.
            InvalidRequestError: they mean nothing; its `errors` name the fields.
        """
        body = _settings(labels, limits, namespaces, placement)
        return typed.as_cluster(self._run(self._calls.add_cluster(name, body, replace=replace)))

    def drain(
        self, name: str, *, requeue: bool = False, reason: str = "", wait: bool = False, timeout: float | None = None
    ) -> Cluster:
        """It takes no new jobs; those on it end, or, with `requeue`, go back to the queue and spend no retry.

        Args:
            name: the cluster's.
            requeue: send back what runs.
            reason: kept in the history of the jobs.
            wait: until nothing lives on it.
            timeout: for so many seconds at the most.

        Raises:
            WaitTimeoutError: the time is over; it goes on emptying.
        """
        drained = self._run(self._calls.drain_cluster(name, requeue=requeue, reason=reason))["cluster"]
        if wait:
            drained = self._run(self._calls.await_empty_cluster(name, timeout))
        return typed.as_cluster(drained)

    def remove(self, name: str) -> None:
        """Forget it.

        Raises:
            ClusterInUseError: attempts live there, or its Sync Service runs.
        """
        self._run(self._calls.remove_cluster(name))

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

    async def add(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        namespaces: Sequence[str] = (),
        placement: Placement | str = Placement.FIRST,
        replace: bool = False,
    ) -> Cluster:
        """See `Clusters.add`."""
        body = _settings(labels, limits, namespaces, placement)
        return typed.as_cluster(await self._run(self._calls.add_cluster(name, body, replace=replace)))

    async def drain(
        self,
        name: str,
        *,
        requeue: bool = False,
        reason: str = "",
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - its error tells how many attempts are left
    ) -> Cluster:
        """See `Clusters.drain`."""
        drained = (await self._run(self._calls.drain_cluster(name, requeue=requeue, reason=reason)))["cluster"]
        if wait:
            drained = await self._run(self._calls.await_empty_cluster(name, timeout))
        return typed.as_cluster(drained)

    async def remove(self, name: str) -> None:
        """See `Clusters.remove`."""
        await self._run(self._calls.remove_cluster(name))

    async def lost(self, name: str, reason: str = "") -> Cluster:
        """See `Clusters.lost`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "lost", reason)))

    async def readmit(self, name: str) -> Cluster:
        """See `Clusters.readmit`."""
        return typed.as_cluster(await self._run(self._calls.change_cluster(name, "readmit")))


def _settings(
    labels: Mapping[str, str] | None,
    limits: Limits | None,
    namespaces: Sequence[str],
    placement: Placement | str,
) -> Json:
    asked = {
        "labels": dict(labels or {}),
        "limits": limits or Limits(),
        "namespaces": list(namespaces),
        "placement": placement,
    }
    try:
        return Settings.model_validate(asked).model_dump(mode="json")
    except ValidationError as error:
        raise InvalidRequestError(errors=field_problems(error, Settings)) from error
