"""One reader for many listeners: what a thousand requests follow is read once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Feed(Generic[V]):
    """The latest value of something that one task reads and many listen to."""

    def __init__(self) -> None:
        self.value: V | None = None
        self.serial = 0
        """Counts what was published; 0: nothing yet."""
        self._error: Exception | None = None
        self._next = asyncio.Event()

    def publish(self, value: V) -> None:
        """Tell everybody who listens."""
        self.value = value
        self.serial += 1
        self._next.set()
        self._next = asyncio.Event()

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        self._error = error
        self._next.set()

    async def changed(self, since: int, timeout_seconds: float) -> bool:
        """Wait until something newer than that serial was published; False after the timeout.

        Raises:
            Exception: what ended the reader.
        """
        if self.serial == since and self._error is None:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._next.wait()
            except TimeoutError:
                return False
        if self._error is not None:
            raise self._error
        return True


class Hub(Generic[K, V]):
    """A feed for each key that anybody listens to, read by one task until the last of them goes."""

    def __init__(self, read: Callable[[K, Feed[V]], Awaitable[None]]) -> None:
        """Make one.

        Args:
            read: publishes what it finds under a key until it is cancelled, or there is nothing more to come.
        """
        self._read = read
        self._feeds: dict[K, tuple[Feed[V], asyncio.Task[None]]] = {}
        self._listeners: dict[K, int] = {}

    @asynccontextmanager
    async def listen(self, key: K) -> AsyncIterator[Feed[V]]:
        """Listen while the context is open."""
        if key not in self._feeds:
            fresh: Feed[V] = Feed()
            self._feeds[key] = fresh, asyncio.create_task(self._run(key, fresh))
            self._listeners[key] = 0
        feed, task = self._feeds[key]
        self._listeners[key] += 1
        try:
            yield feed
        finally:
            self._listeners[key] -= 1
            if self._listeners[key] == 0:
                del self._feeds[key], self._listeners[key]
                task.cancel()

    async def _run(self, key: K, feed: Feed[V]) -> None:
        try:
            await self._read(key, feed)
        except Exception as error:  # noqa: BLE001 - it is raised to each of those who listen
            feed.fail(error)
