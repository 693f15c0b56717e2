"""Clusters that cost next to nothing, so that what is measured is the platform."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import Observation, RayJob, RayJobStatus
from dartjobs.drivers.base import Held, Launch, Submission
from dartjobs.drivers.runner import RUNNER
from dartjobs.drivers.submission import HEARTBEAT_SECONDS
from dartjobs.models.job import Attempt
from dartjobs.models.spec import GIBIBYTE

_CPU = 10**6
HEAD = "head-1"
CLUSTER = "cluster-1"


class Reporter:
    """Tells whoever measures what was asked of the cluster, a line of JSON each; nobody may listen."""

    def __init__(self, path: str | None) -> None:
        self._socket: socket.socket | None = None
        if path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(path)

    def tell(self, what: str, attempt_id: str) -> None:
        """What happened, to which attempt, when by the monotonic clock, which all processes share."""
        if self._socket is not None:
            line = {"what": what, "attempt": attempt_id, "at": time.monotonic()}
            self._socket.sendall(json.dumps(line).encode() + b"\n")


class InstantDriver:
    """Speaks `drivers.base.Driver`: a head answers as soon as it is created."""

    def __init__(self, reporter: Reporter) -> None:
        self._held: dict[str, Held] = {}
        self._submitted: set[str] = set()
        self._reporter = reporter
        self.observed = 0
        self.first_looks = 0
        self._seen: set[str] = set()

    async def identity(self) -> str:
        """The same for ever."""
        return "bench"

    async def capacity(self) -> Capacity:
        """Room for everything."""
        return Capacity(Resources(Decimal(_CPU), _CPU * GIBIBYTE))

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        """As it was made."""
        self._count(attempt.id)
        if attempt.id not in self._held:
            return Observation()
        known = RayJobStatus.RUNNING if attempt.id in self._submitted else RayJobStatus.ABSENT
        job = RayJob(known) if ask_ray else None
        return Observation(cluster_uid=CLUSTER, head_uid=HEAD, head_answers=True, ray_job=job, leftovers=True)

    async def create(self, launch: Launch) -> None:
        """It is there at once."""
        self._reporter.tell("create", launch.attempt.id)
        self._held[launch.attempt.id] = Held(launch.attempt.id, CLUSTER, HEAD)

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        """Every package is there."""
        del attempt, ref
        return True

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Never asked for."""
        del attempt, ref, chunks, size

    async def submit(self, submission: Submission) -> None:
        """Whoever measures acts as the runner."""
        self._submitted.add(submission.attempt.id)
        self._reporter.tell("submit", submission.attempt.id)

    async def stop_driver(self, attempt: Attempt) -> None:
        """Nothing runs."""

    async def kill_head(self, attempt: Attempt) -> None:
        """Nothing runs."""

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        """Gone at once."""
        del cluster_uid
        self._held.pop(attempt.id, None)
        self._submitted.discard(attempt.id)

    async def inventory(self) -> list[Held]:
        """What was created and not deleted."""
        return list(self._held.values())

    async def close(self) -> None:
        """Nothing is open."""

    def hold(self, attempts: Sequence[str]) -> None:
        """Begin with these, running."""
        self._held.update((one, Held(one, CLUSTER, HEAD)) for one in attempts)
        self._submitted.update(attempts)

    def _count(self, attempt_id: str) -> None:
        self.observed += 1
        if attempt_id not in self._seen:
            self._seen.add(attempt_id)
            self.first_looks = len(self._seen)


class ProcessDriver(InstantDriver):
    """Starts the real runner, as a bare process of this machine."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self._folder = Path(tempfile.mkdtemp(prefix="dartjobs-bench-"))
        self._launches: dict[str, Launch] = {}
        self._runners: set[asyncio.Task[int]] = set()

    async def create(self, launch: Launch) -> None:
        """Remember the runner's token."""
        self._launches[launch.attempt.id] = launch
        await super().create(launch)

    async def submit(self, submission: Submission) -> None:
        """Start the runner, once."""
        if submission.attempt.id in self._submitted:
            return
        await super().submit(submission)
        launch = self._launches.pop(submission.attempt.id)
        token = self._folder / submission.attempt.id
        token.write_text(launch.token)
        runner = await asyncio.create_subprocess_exec(
            sys.executable,
            str(RUNNER),
            env=dict(os.environ) | _environment(submission, launch, token),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        task = asyncio.create_task(runner.wait())
        self._runners.add(task)
        task.add_done_callback(self._runners.discard)


def _environment(submission: Submission, launch: Launch, token: Path) -> dict[str, str]:
    settings: dict[str, Any] = {
        "attempt_id": submission.attempt.id,
        "entrypoint": submission.spec.entrypoint,
        "head_uid": HEAD,
        "heartbeat_seconds": HEARTBEAT_SECONDS,
    }
    return {
        "DARTJOBS_RUNNER": json.dumps(settings),
        "DARTJOBS_HEAD_UID": HEAD,
        "DARTJOBS_TOKEN_FILE": str(token),
        "DARTJOBS_GATEWAY_URL": launch.gateway_url,
        "DARTJOBS_SPOOL_DIR": str(token.parent),
    }
