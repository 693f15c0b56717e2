"""What is known of the cluster: a watch for each kind of object that tells of an attempt."""

import asyncio
from collections import OrderedDict
from typing import Any

from dartjobs.drivers.base import Held
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.client import Client
from dartjobs.drivers.kuberay.reading import Seen, death_of, head_of
from dartjobs.drivers.kuberay.shapes import Pod, RayCluster, Thing
from dartjobs.drivers.kuberay.watching import Watch, first_problem, require

_FIRST_LIST_SECONDS = 10.0
_MOST_DEATHS = 10_000
"""Attempts of which dead heads are remembered: KubeRay removes the pod of one that it replaces at once."""


class ClusterView:
    """RayClusters, pods and ConfigMaps of one installation in one namespace."""

    def __init__(self, client: Client, namespace: str, installation: str, relist_seconds: float) -> None:
        selector = f"{names.INSTALLATION}={installation}"
        self._deaths: OrderedDict[str, dict[str, str]] = OrderedDict()
        """By attempt: from a head pod's UID to how it died."""

        def path(kind: names.Kind) -> str:
            return kind.path(namespace)

        self._ray_clusters = Watch(client, path(names.RAY_CLUSTERS), selector, RayCluster, seconds=relist_seconds)
        self._pods = Watch(
            client, path(names.PODS), selector, Pod, seconds=relist_seconds, on_change=self._remember_death
        )
        self._markers = Watch(
            client, path(names.CONFIG_MAPS), selector, Thing, seconds=relist_seconds, metadata_only=True
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def ready(self) -> None:
        """See that it is current; the first time, begin to watch.

        Raises:
            TemporaryDriverError: it is not; says why.
        """
        watches: tuple[Watch[Any], ...] = (self._ray_clusters, self._pods, self._markers)
        if not self._tasks:
            self._tasks = [asyncio.create_task(one.run()) for one in watches]
        try:
            async with asyncio.timeout(_FIRST_LIST_SECONDS):
                for one in watches:
                    await one.until_listed()
        except TimeoutError:
            pass  # `require` says what is missing
        require(*watches)

    @property
    def problem(self) -> str | None:
        """Why it is not current; None: it is."""
        return first_problem(self._ray_clusters, self._pods, self._markers)

    def of(self, attempt_id: str) -> Seen:
        """What is held of one attempt."""
        clusters = self._ray_clusters.of(attempt_id)
        deaths = list(self._deaths.get(attempt_id, {}).values())
        pods, markers = self._pods.of(attempt_id), self._markers.of(attempt_id)
        return Seen(clusters[0] if clusters else None, pods, markers, deaths)

    def held(self) -> list[Held]:
        """Every attempt of which something is there, in few words."""
        ids = self._ray_clusters.attempts() | self._pods.attempts() | self._markers.attempts()
        return [self._held(attempt_id) for attempt_id in sorted(ids) if attempt_id]

    async def close(self) -> None:
        """Watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _held(self, attempt_id: str) -> Held:
        clusters, head = self._ray_clusters.of(attempt_id), head_of(self._pods.of(attempt_id))
        return Held(
            attempt_id,
            clusters[0].metadata.uid if clusters else None,
            head.metadata.uid if head is not None else None,
        )

    def _remember_death(self, pod: Pod) -> None:
        words = death_of(pod) if pod.is_head else None
        if words is not None:
            self._deaths.setdefault(pod.metadata.attempt_id, {})[pod.metadata.uid] = words
            while len(self._deaths) > _MOST_DEATHS:
                self._deaths.popitem(last=False)
