"""A handle on one job: the client's methods, without the id."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dartjobs.client.watch import Until
from dartjobs.models.job import Job, Transition

if TYPE_CHECKING:
    from dartjobs.client.async_client import AsyncClient
    from dartjobs.client.sync_client import Client


@dataclass(frozen=True, slots=True)
class JobHandle:
    """One job on one server."""

    client: "Client" = field(repr=False)
    id: str
    submitted: Job | None = field(default=None, repr=False)
    """The job as the server answered its submission; None for one that was only named."""

    def get(self) -> Job:
        """The job as it is now."""
        return self.client.get(self.id)

    def wait(self, timeout: float | None = None) -> Job:
        """See `Client.wait`."""
        return self.client.wait(self.id, timeout)

    def watch(self, until: Until = "finished", timeout: float | None = None) -> Iterator[Transition | Job]:
        """See `Client.watch`."""
        return self.client.watch(self.id, until, timeout)

    def logs(
        self, *, attempt: int | None = None, tail: int | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """See `Client.logs`."""
        return self.client.logs(self.id, attempt=attempt, tail=tail, start=start, stop=stop)

    def follow(
        self,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        on_attempt: Callable[[int], object] | None = None,
    ) -> Iterator[bytes]:
        """See `Client.follow`."""
        return self.client.follow(self.id, attempt=attempt, tail=tail, on_attempt=on_attempt)

    def stop(self, reason: str = "") -> Job:
        """See `Client.stop`."""
        return self.client.stop(self.id, reason)

    def events(self) -> Sequence[Transition]:
        """See `Client.events`."""
        return self.client.events(self.id)


@dataclass(frozen=True, slots=True)
class AsyncJobHandle:
    """One job on one server, for asyncio."""

    client: "AsyncClient" = field(repr=False)
    id: str
    submitted: Job | None = field(default=None, repr=False)
    """The job as the server answered its submission; None for one that was only named."""

    async def get(self) -> Job:
        """The job as it is now."""
        return await self.client.get(self.id)

    async def wait(self, timeout: float | None = None) -> Job:  # noqa: ASYNC109 - its error tells the state
        """See `AsyncClient.wait`."""
        return await self.client.wait(self.id, timeout)

    def watch(self, until: Until = "finished", timeout: float | None = None) -> AsyncGenerator[Transition | Job, None]:
        """See `AsyncClient.watch`."""
        return self.client.watch(self.id, until, timeout)

    def logs(
        self, *, attempt: int | None = None, tail: int | None = None, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `AsyncClient.logs`."""
        return self.client.logs(self.id, attempt=attempt, tail=tail, start=start, stop=stop)

    def follow(
        self,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        on_attempt: Callable[[int], object] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """See `AsyncClient.follow`."""
        return self.client.follow(self.id, attempt=attempt, tail=tail, on_attempt=on_attempt)

    async def stop(self, reason: str = "") -> Job:
        """See `AsyncClient.stop`."""
        return await self.client.stop(self.id, reason)

    async def events(self) -> Sequence[Transition]:
        """See `AsyncClient.events`."""
        return await self.client.events(self.id)
