"""Group commit: what asks to be recorded while one transaction commits shares the next one.

Nobody waits for company: alone, a submission is recorded at once. Nobody is answered before the commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """One transaction at a time, for all that has come meanwhile."""

    def __init__(
        self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, size: Callable[[T], int], most: int
    ) -> None:
        """Make one.

        Args:
            commit: records all of these, or raises, and then none is recorded.
            size: how much room one takes in a transaction.
            most: the room in a transaction; a larger one has a transaction of its own.
        """
        self._commit = commit
        self._size = size
        self._most = most
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def record(self, item: T) -> R:
        """Record one; it is durable when this returns.

        A caller that is cancelled does not know whether it was recorded.

        Raises:
            Exception: what `commit` raised.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._record(self._take())
        finally:
            self._task = None
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    def _take(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        taken = [self._waiting.popleft()]
        room = self._most - self._size(taken[0][0])
        while self._waiting and (room := room - self._size(self._waiting[0][0])) >= 0:
            taken.append(self._waiting.popleft())
        return taken

    async def _record(self, taken: list[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._commit([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 - it is passed on to those who wait, whatever it is
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        except asyncio.CancelledError:
            for _, future in taken:
                future.cancel()
            raise
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)
