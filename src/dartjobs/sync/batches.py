"""Many requests, few transactions: what is asked for while one batch is under way goes into the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from dartjobs.models.problem import UnavailableError
from dartjobs.services.isolation import isolated
from dartjobs.store.database import StaleError

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Runs `work` on whatever was submitted since the last time; a lone request does not wait for others."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int = 500) -> None:
        """`work` answers for each item a result, or the exception that is that item's own."""
        self._work = work
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._submitted = asyncio.Event()

    def submit(self, item: T) -> "asyncio.Future[R]":
        """Put it into the next batch; the answer comes when that is through."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._submitted.set()
        return answer

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._submitted.wait()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            if not self._waiting:
                self._submitted.clear()
            await self._serve(batch)

    async def _serve(self, batch: "list[tuple[T, asyncio.Future[R]]]") -> None:
        try:
            results = await isolated(self._work, [item for item, _ in batch])
        except (StaleError, UnavailableError) as error:
            results = [error] * len(batch)
        for (_, answer), result in zip(batch, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
