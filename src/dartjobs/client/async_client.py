"""The asynchronous client."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from dartjobs.client.async_shell import AsyncShell
from dartjobs.client.calls import Calls
from dartjobs.client.config import resolve
from dartjobs.client.handles import AsyncJobHandle
from dartjobs.client.logs import Place
from dartjobs.client.packaging import pack
from dartjobs.client.patience import Patience
from dartjobs.client.specs import Draft, draft
from dartjobs.client.watch import Until
from dartjobs.models.job import Job, Transition
from dartjobs.models.spec import JobSpec


class AsyncClient:
    """`Client`, for asyncio: the same methods and errors, to be awaited or iterated with `async for`."""

    def __init__(
        self,
        url: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        *,
        timeout: float = 30.0,
        reconnect_for: float = 60.0,
    ) -> None:
        """See `Client`."""
        self.target = resolve(url, namespace, user)
        self._calls = Calls(self.target, Patience(self.target.url, reconnect_for))
        self._shell = AsyncShell(self.target, timeout)

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Let go of the connections. Jobs go on."""
        await self._shell.close()

    async def submit(
        self,
        spec: JobSpec | Mapping[str, Any] | None = None,
        *,
        entrypoint: str | Sequence[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **fields: Any,
    ) -> AsyncJobHandle:
        """See `Client.submit`."""
        made = draft(spec, entrypoint=entrypoint, working_dir=working_dir, fields=fields)
        job = await self._submit(made)
        return AsyncJobHandle(self, job.id, job)

    def job(self, job_id: str) -> AsyncJobHandle:
        """A handle on a job, without asking whether there is one."""
        return AsyncJobHandle(self, job_id)

    async def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return await self._shell.run(self._calls.get(job_id))

    async def stop(self, job_id: str, reason: str = "") -> Job:
        """Ask for a stop and return at once; a finished job is answered unchanged. Its end: `wait`."""
        return await self._shell.run(self._calls.stop(job_id, reason))

    async def events(self, job_id: str) -> Sequence[Transition]:
        """Every transition of every attempt, oldest first."""
        return await self._shell.run(self._calls.events(job_id))

    def watch(
        self, job_id: str, until: Until = "finished", timeout: float | None = None
    ) -> AsyncGenerator[Transition | Job, None]:
        """See `Client.watch`."""
        return self._shell.iterate(self._calls.watch(job_id, until, timeout))

    async def wait(self, job_id: str, timeout: float | None = None) -> Job:  # noqa: ASYNC109 - its error tells the state
        """See `Client.wait`."""
        return await self._shell.run(self._calls.watch(job_id, "finished", timeout))

    def logs(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """See `Client.logs`."""
        return self._shell.iterate(self._calls.logs(job_id, Place(attempt, start, stop, tail)))

    def follow(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        on_attempt: Callable[[int], object] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """See `Client.follow`."""
        return self._shell.iterate(self._calls.follow(job_id, Place(attempt, tail=tail), on_attempt))

    async def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return await self._shell.run(self._calls.health())

    def list(
        self, *, state: str | Iterable[str] = (), name: str | None = None, limit: int | None = None
    ) -> AsyncGenerator[Job, None]:
        """See `Client.list`."""
        return self._shell.iterate(self._calls.list(state, name, limit))

    async def _submit(self, made: Draft) -> Job:
        if made.folder is None:
            return await self._shell.run(self._calls.submit(made, None))
        with await asyncio.to_thread(pack, made.folder) as package:
            return await self._shell.run(self._calls.submit(made, package))
