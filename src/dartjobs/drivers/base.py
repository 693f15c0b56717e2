"""The protocol that every kind of cluster speaks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dartjobs.core.queueing import Capacity
from dartjobs.core.world import Observation
from dartjobs.models.job import Attempt, SubmitIntent
from dartjobs.models.spec import JobSpec


class DriverError(Exception):
    """An effect on the cluster failed."""


class TemporaryDriverError(DriverError):
    """It may work when tried again."""


class FinalDriverError(DriverError):
    """It will never work; the message says why, in the words of what refused it."""


class HeadChangedError(TemporaryDriverError):
    """The head is not the one that was read before."""


class PackageRefusedError(FinalDriverError):
    """The head does not take the package."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is needed to bring up an attempt's Ray cluster."""

    attempt: Attempt
    spec: JobSpec
    token: str
    """For the runner alone; worthless for any other attempt."""
    gateway_url: str


@dataclass(frozen=True, slots=True)
class Submission:
    """All that is needed to start an attempt's driver."""

    attempt: Attempt
    spec: JobSpec
    namespace: str
    intent: SubmitIntent


class Held(NamedTuple):
    """An attempt of which the cluster holds something, in few words: any change of them is worth a look."""

    attempt_id: str
    cluster_uid: str | None = None
    head_uid: str | None = None
    """The living head's; None: there is none."""


class Driver(Protocol):
    """One cluster. Methods raise `TemporaryDriverError` or `FinalDriverError`, and nothing else on purpose."""

    async def identity(self) -> str:
        """A name for this very cluster that a recreated one would not have."""
        ...

    async def capacity(self) -> Capacity:
        """What the cluster has in all, whoever uses it now."""
        ...

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        """Look once; `ask_ray` also asks the head about the submitted driver. Never raises: see `UNREACHABLE`."""
        ...

    async def create(self, launch: Launch) -> None:
        """Bring up the Ray cluster, or adopt what an earlier call made. Returns before the head answers."""
        ...

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        """Whether the head's package store already has it."""
        ...

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Put the package (a zip) into the head's own package store."""
        ...

    async def submit(self, submission: Submission) -> None:
        """Submit the runner under `intent.submission_id`. A duplicate is no error.

        Raises:
            HeadChangedError: the living head is not `intent.head_uid`; nothing was submitted.
        """
        ...

    async def stop_driver(self, attempt: Attempt) -> None:
        """Ask Ray to stop the driver. Returns at once; says nothing about its end."""
        ...

    async def kill_head(self, attempt: Attempt) -> None:
        """Delete the head named in the attempt's submit intent, by UID."""
        ...

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        """Begin or go on to delete everything of the attempt. Done when `observe` shows no `leftovers`.

        With `cluster_uid`, only where the Ray cluster object is still that one: what was seen, and nothing that came
        after it.
        """
        ...

    async def inventory(self) -> list[Held]:
        """Every attempt of which something is held, cheap enough to be asked every few seconds.

        What the database does not know may be an orphan, and what has changed since the last time is looked at.

        Raises:
            TemporaryDriverError: the cluster cannot be seen.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Ray clusters go on."""
        ...
