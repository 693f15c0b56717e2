"""The asynchronous client."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from dartjobs.client import typed
from dartjobs.client.async_shell import AsyncShell
from dartjobs.client.calls import Calls
from dartjobs.client.clusters import AsyncClusters
from dartjobs.client.config import resolve
from dartjobs.client.drafts import Draft, new_key
from dartjobs.client.filters import Filters
from dartjobs.client.handles import AsyncJobHandle
from dartjobs.client.logs import Place
from dartjobs.client.patience import Patience
from dartjobs.client.session import known_package, packed, specs_of
from dartjobs.client.specs import draft
from dartjobs.client.watch import Until
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Attempt, Job, Transition
from dartjobs.models.problem import DartJobsError, PackageNotFoundError, error_of
from dartjobs.models.spec import JobSpec

if TYPE_CHECKING:
    from dartjobs.client.packaging import Package

_log = logging.getLogger("dartjobs.client")


class AsyncClient:
    """`Client`, for asyncio: the same methods and errors, to be awaited or iterated with `async for`."""

    def __init__(
        self,
        url: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        *,
        context: str | None = None,
        timeout: float = 30.0,
        reconnect_for: float = 60.0,
    ) -> None:
        """See `Client`."""
        self.target = resolve(url, namespace, user, context=context)
        self._calls = Calls(self.target, Patience(self.target.url, reconnect_for, warn=_warn))
        self._shell = AsyncShell(self.target, timeout)
        self._run, self._iterate = self._shell.run, self._shell.iterate
        self.clusters = AsyncClusters(self._calls, self._shell)

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
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> AsyncJobHandle:
        """See `Client.submit`."""
        made = draft(spec, entrypoint=entrypoint, working_dir=working_dir, fields=fields)
        key = idempotency_key or new_key()
        if made.folder is None:
            return self._handle(await self._run(self._calls.submit(made.spec, key)))
        known = await asyncio.to_thread(known_package, made.folder, _warn)
        if known is not None:
            with suppress(PackageNotFoundError):
                return self._handle(await self._run(self._calls.submit(made.with_package(known), key)))
        async with _packed([made.folder]) as packages:
            package = packages[made.folder]
            await self._run(self._calls.upload(package))
            return self._handle(await self._run(self._calls.submit(made.with_package(package.ref), key)))

    async def submit_many(
        self,
        specs: Iterable[JobSpec | Mapping[str, Any]],
        *,
        working_dir: str | os.PathLike[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sequence[AsyncJobHandle | DartJobsError]:
        """See `Client.submit_many`."""
        drafts: list[Draft] = [draft(spec, working_dir=working_dir) for spec in specs]
        async with _packed([made.folder for made in drafts]) as packages:
            for package in packages.values():
                await self._run(self._calls.upload(package))
            flow = self._calls.submit_many(specs_of(drafts, packages), idempotency_key or new_key())
            return [self._became(one) for one in await self._run(flow)]

    def job(self, job_id: str) -> AsyncJobHandle:
        """A handle on a job, without asking whether there is one."""
        return AsyncJobHandle(self, job_id)

    async def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return typed.as_job(await self._run(self._calls.get(job_id)))

    async def stop(self, job_id: str, reason: str = "") -> Job:
        """Ask for a stop and return at once; a finished job is answered unchanged. Its end: `wait`."""
        return typed.as_job(await self._run(self._calls.stop(job_id, reason)))

    async def stop_many(
        self, reason: str = "", *, everything: bool = False, **filters: Unpack[Filters]
    ) -> Sequence[str]:
        """See `Client.stop_many`."""
        flow = self._calls.stop_many(filters, reason, everything=everything)
        return [job_id async for job_id in self._iterate(flow)]

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> AsyncJobHandle:
        """See `Client.retry`."""
        return self._handle(await self._run(self._calls.retry(job_id, idempotency_key or new_key())))

    async def requeue(self, job_id: str, reason: str = "") -> Job:
        """See `Client.requeue`."""
        return typed.as_job(await self._run(self._calls.requeue(job_id, reason)))

    async def events(self, job_id: str) -> Sequence[Transition]:
        """Every transition of every attempt, oldest first."""
        return typed.as_transitions(await self._run(self._calls.events(job_id)))

    async def attempts(self, job_id: str) -> Sequence[Attempt]:
        """Every attempt, oldest first."""
        return typed.as_attempts(await self._run(self._calls.attempts(job_id)))

    async def explain(self, job_id: str) -> Explanation:
        """See `Client.explain`."""
        return typed.as_explanation(await self._run(self._calls.explain(job_id)))

    def watch(
        self, job_id: str, until: Until = "finished", timeout: float | None = None
    ) -> AsyncGenerator[Transition | Job, None]:
        """See `Client.watch`."""
        flow = self._calls.watch(job_id, until, timeout)
        return self._iterate(typed.stream(flow, typed.as_event, typed.as_job))

    async def wait(self, job_id: str, timeout: float | None = None) -> Job:  # noqa: ASYNC109 - its error tells the state
        """See `Client.wait`."""
        return typed.as_job(await self._run(self._calls.watch(job_id, "finished", timeout)))

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
        return self._iterate(self._calls.logs(job_id, Place(attempt, start, stop, tail)))

    def follow(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        on_attempt: Callable[[int], object] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """See `Client.follow`."""
        return self._iterate(self._calls.follow(job_id, Place(attempt, tail=tail), on_attempt))

    async def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return await self._run(self._calls.health())

    async def version(self) -> dict[str, Any]:
        """The server's `version`, and that of its `api`."""
        return await self._run(self._calls.version())

    def list(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> AsyncGenerator[Job, None]:
        """See `Client.list`."""
        return self._iterate(typed.stream(self._calls.list(filters, limit), typed.as_job, typed.unchanged))

    def _handle(self, job: dict[str, Any]) -> AsyncJobHandle:
        return AsyncJobHandle(self, job["id"], typed.as_job(job))

    def _became(self, item: dict[str, Any]) -> AsyncJobHandle | DartJobsError:
        return self._handle(item["job"]) if item.get("job") else error_of(item["problem"])


@asynccontextmanager
async def _packed(folders: Sequence[Path | None]) -> "AsyncGenerator[dict[Path | None, Package], None]":
    """See `session.packed`; the work is done in a thread."""
    with ExitStack() as opened:
        yield await asyncio.to_thread(opened.enter_context, packed(folders))


def _warn(text: str) -> None:
    _log.warning("%s", text)
