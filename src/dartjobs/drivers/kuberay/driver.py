"""A cluster that is Kubernetes with KubeRay. Nothing is remembered here but what the API server says again."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dartjobs.core.queueing import Capacity
from dartjobs.core.world import UNREACHABLE, Observation
from dartjobs.drivers.base import DriverError, HeadChangedError, Held, Launch, Submission, TemporaryDriverError
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.building import Builder
from dartjobs.drivers.kuberay.client import Client
from dartjobs.drivers.kuberay.credentials import Credentials
from dartjobs.drivers.kuberay.dashboards import Dashboards
from dartjobs.drivers.kuberay.pods import RUNNER_PATH
from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.drivers.kuberay.reading import allocatable, head_of, observation
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.drivers.kuberay.shapes import Node, Thing
from dartjobs.drivers.kuberay.view import ClusterView
from dartjobs.drivers.ray_jobs import RayJobs
from dartjobs.drivers.submission import check_package_size, job_request, package_name
from dartjobs.models.job import Attempt
from dartjobs.models.state import ResourceState

_RELIST_SECONDS = 60.0
_CAPACITY_SECONDS = 30.0
"""Nodes come and go slowly; a list of them is large."""
_KILL_GRACE_SECONDS = 1
"""To the kubelet; the pod's object stays until its containers are dead."""


class KubeRayDriver:
    """Implements `dartjobs.drivers.base.Driver`."""

    def __init__(
        self,
        settings: KubeRaySettings,
        found: Credentials,
        profiles: Mapping[str, Profile],
        *,
        installation: str,
        secret: bytes,
        relist_seconds: float = _RELIST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._client = Client(found)
        self._view = ClusterView(self._client, settings.namespace, installation, relist_seconds)
        self._builder = Builder(self._client, settings, profiles, installation=installation, secret=secret)
        self._dashboards = Dashboards(self._client.server, found, settings, installation=installation, secret=secret)
        self._clock = clock
        self._capacity: tuple[float, Capacity] | None = None

    async def identity(self) -> str:
        """The UID of the namespace kube-system: it is made once, with the cluster."""
        return (await self._client.read("/api/v1/namespaces/kube-system", Thing)).metadata.uid

    async def capacity(self) -> Capacity:
        """What the nodes that take pods can give in all; read every half a minute.

        Raises:
            TemporaryDriverError: the cluster cannot be seen, or would not take a RayCluster; it has no room until then.
        """
        now = self._clock()
        if self._capacity is None or now - self._capacity[0] > _CAPACITY_SECONDS:
            await self._builder.check()
            nodes = await self._client.list("/api/v1/nodes", Node)
            self._capacity = now, Capacity(allocatable(nodes.items), self._settings.elastic)
        return self._capacity[1]

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        """What the watches know; the head itself is asked only before the submit intent, or with `ask_ray`.

        That nothing is left, which ends an attempt for good, is asked of the API server itself.
        """
        try:
            await self._view.ready()
            seen = self._look(attempt)
            if not seen.leftovers and attempt.resource_state is ResourceState.TERMINATING:
                return replace(seen, leftovers=await self._builder.is_anything_left(attempt.id))
        except DriverError:
            return UNREACHABLE
        if seen.head_uid is None or (attempt.submit_intent is not None and not ask_ray):
            return seen
        try:
            return await self._with_head(attempt, seen)
        except TemporaryDriverError:
            return seen

    async def create(self, launch: Launch) -> None:
        """Create every object, or adopt it: names are deterministic."""
        await self._builder.create(launch)

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        """Whether the head's package store has it."""
        return await (await self._living(attempt)).has_package(package_name(ref))

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Put it into the head's package store.

        Raises:
            PackageRefusedError: the head does not take it.
        """
        check_package_size(size)
        await (await self._living(attempt)).put_package(package_name(ref), chunks, size)

    async def submit(self, submission: Submission) -> None:
        """Submit the runner to the head that the intent names; on any other, it would refuse to start.

        Raises:
            HeadChangedError: that head does not live.
        """
        jobs = await self._living(submission.attempt, submission.intent.head_uid)
        await jobs.submit(job_request(submission, ["python3", RUNNER_PATH]))

    async def stop_driver(self, attempt: Attempt) -> None:
        """Ask Ray to stop the driver of the submit intent."""
        if attempt.submit_intent is not None:
            await (await self._living(attempt)).stop(attempt.submit_intent.submission_id)

    async def kill_head(self, attempt: Attempt) -> None:
        """Delete the pod that the submit intent names, if it is there."""
        intent = attempt.submit_intent
        for pod in await self._builder.pods(attempt.id) if intent is not None else []:
            if intent is not None and pod.metadata.uid == intent.head_uid:
                await self._client.delete(
                    names.PODS,
                    self._settings.namespace,
                    pod.metadata.name,
                    uid=intent.head_uid,
                    grace_seconds=_KILL_GRACE_SECONDS,
                )

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        """Delete what can be deleted now; what guards the Ray cluster goes when nothing of it is left."""
        await self._builder.delete(attempt.id, cluster_uid)

    async def inventory(self) -> list[Held]:
        """What the watches know of this installation's attempts."""
        await self._view.ready()
        return self._view.held()

    async def close(self) -> None:
        """Let go of watches and connections."""
        await self._view.close()
        await self._dashboards.close()
        await self._client.close()

    def _look(self, attempt: Attempt) -> Observation:
        patience = timedelta(seconds=self._settings.unschedulable_seconds)
        return observation(self._view.of(attempt.id), datetime.now(UTC), patience)

    async def _with_head(self, attempt: Attempt, seen: Observation) -> Observation:
        jobs = self._dashboards.of(attempt.id, head_of(self._view.of(attempt.id).pods))
        if attempt.submit_intent is None:
            return replace(seen, head_answers=await jobs.answers())
        ray_job = await jobs.job(attempt.submit_intent.submission_id)
        return replace(seen, head_answers=True, ray_job=ray_job)

    async def _living(self, attempt: Attempt, head_uid: str | None = None) -> RayJobs:
        head = head_of(await self._builder.pods(attempt.id))
        if head is None or head_uid not in {None, head.metadata.uid}:
            msg = f"the head of {attempt.id} is {head.metadata.uid if head is not None else 'gone'}"
            raise HeadChangedError(msg)
        return self._dashboards.of(attempt.id, head)
