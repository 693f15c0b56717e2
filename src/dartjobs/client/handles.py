"""A handle on one job: the client's methods, without the id. And a list of jobs that fetches its pages by itself."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from dartjobs.client.notebook import html_of_job, html_of_jobs
from dartjobs.client.watch import Until
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Attempt, Job, Transition

if TYPE_CHECKING:
    from dartjobs.client.async_client import AsyncClient
    from dartjobs.client.sync_client import Client

_SHOWN = 20


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

    def retry(self, *, idempotency_key: str | None = None) -> "JobHandle":
        """See `Client.retry`."""
        return self.client.retry(self.id, idempotency_key=idempotency_key)

    def requeue(self, reason: str = "") -> Job:
        """See `Client.requeue`."""
        return self.client.requeue(self.id, reason)

    def events(self) -> Sequence[Transition]:
        """See `Client.events`."""
        return self.client.events(self.id)

    def attempts(self) -> Sequence[Attempt]:
        """See `Client.attempts`."""
        return self.client.attempts(self.id)

    def explain(self) -> Explanation:
        """See `Client.explain`."""
        return self.client.explain(self.id)

    def _repr_html_(self) -> str:
        return html_of_job(self.get())


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

    async def retry(self, *, idempotency_key: str | None = None) -> "AsyncJobHandle":
        """See `AsyncClient.retry`."""
        return await self.client.retry(self.id, idempotency_key=idempotency_key)

    async def requeue(self, reason: str = "") -> Job:
        """See `AsyncClient.requeue`."""
        return await self.client.requeue(self.id, reason)

    async def events(self) -> Sequence[Transition]:
        """See `AsyncClient.events`."""
        return await self.client.events(self.id)

    async def attempts(self) -> Sequence[Attempt]:
        """See `AsyncClient.attempts`."""
        return await self.client.attempts(self.id)

    async def explain(self) -> Explanation:
        """See `AsyncClient.explain`."""
        return await self.client.explain(self.id)

    def _repr_html_(self) -> str:
        """What was last known: nothing can be awaited here."""
        return html_of_job(self.submitted) if self.submitted is not None else f"<code>{self.id}</code>"


class Listing(Iterator[Job]):
    """Jobs, newest first; pages are fetched as they are needed. A notebook shows the first of them."""

    def __init__(self, begin: Callable[[], Iterator[Job]]) -> None:
        self._begin = begin
        self._jobs = begin()

    def __next__(self) -> Job:
        """The next job."""
        return next(self._jobs)

    def _repr_html_(self) -> str:
        jobs = list(islice(self._begin(), _SHOWN + 1))
        note = f"The first {_SHOWN}; there are more." if len(jobs) > _SHOWN else ""
        return html_of_jobs(jobs[:_SHOWN], note)
