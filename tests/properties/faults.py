"""Faults at any effect of a Sync Service: it crashes before or after one, a reply is lost, it stands still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from dartjobs.core.queueing import Capacity
from dartjobs.core.world import Observation
from dartjobs.drivers.base import Driver, Held, Launch, Submission, TemporaryDriverError
from dartjobs.models.job import Attempt
from dartjobs.store.database import Database, Work

T = TypeVar("T")


class Fault(Enum):
    """What goes wrong at an effect."""

    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    LOSE_REPLY = auto()
    """The effect happens, and whoever asked for it is told that it may not have happened."""
    PAUSE = auto()
    """The process is stopped just before it, as by SIGSTOP, until it is told to go on."""


class CrashError(Exception):
    """The process is gone, with all that it knew."""


class Faults:
    """Lets one effect go wrong: the one after so many others."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._left = 0
        self.stopped = asyncio.Event()
        self.goes_on = asyncio.Event()

    def prepare(self, fault: Fault | None, after: int) -> None:
        """Let this go wrong at the effect after `after` others."""
        self._fault, self._left = fault, after
        self.stopped.clear()
        self.goes_on.clear()

    async def at(self, effect: Callable[[], Awaitable[T]], *, reply_can_be_lost: bool) -> T:
        """Do it, or what goes wrong with it."""
        fault = self._take()
        if fault is Fault.CRASH_BEFORE:
            raise CrashError
        if fault is Fault.PAUSE:
            self.stopped.set()
            await self.goes_on.wait()
        result = await effect()
        if fault is Fault.CRASH_AFTER:
            raise CrashError
        if fault is Fault.LOSE_REPLY and reply_can_be_lost:
            msg = "the reply was lost"
            raise TemporaryDriverError(msg)
        return result

    def _take(self) -> Fault | None:
        self._left -= 1
        if self._left >= 0 or self._fault is None:
            return None
        fault, self._fault = self._fault, None
        return fault


class FaultyDatabase(Database):
    """Another's transactions, each of which may go wrong; the database itself retries what it must."""

    def __init__(self, inner: Database, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def read(self, work: Work[T]) -> T:
        return await self._inner.read(work)

    async def write(self, work: Work[T]) -> T:
        return await self._faults.at(lambda: self._inner.write(work), reply_can_be_lost=False)


class FaultyDriver:
    """Another's effects, each of which may go wrong."""

    def __init__(self, inner: Driver, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def identity(self) -> str:
        return await self._inner.identity()

    async def capacity(self) -> Capacity:
        return await self._inner.capacity()

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        return await self._inner.observe(attempt, ask_ray=ask_ray)

    async def create(self, launch: Launch) -> None:
        await self._faults.at(lambda: self._inner.create(launch), reply_can_be_lost=True)

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        return await self._inner.has_package(attempt, ref)

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        await self._inner.put_package(attempt, ref, chunks, size)

    async def submit(self, submission: Submission) -> None:
        await self._faults.at(lambda: self._inner.submit(submission), reply_can_be_lost=True)

    async def stop_driver(self, attempt: Attempt) -> None:
        await self._faults.at(lambda: self._inner.stop_driver(attempt), reply_can_be_lost=True)

    async def kill_head(self, attempt: Attempt) -> None:
        await self._faults.at(lambda: self._inner.kill_head(attempt), reply_can_be_lost=True)

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        delete = partial(self._inner.delete, attempt, cluster_uid=cluster_uid)
        await self._faults.at(delete, reply_can_be_lost=True)

    async def inventory(self) -> list[Held]:
        return await self._inner.inventory()

    async def close(self) -> None:
        """Nothing is open."""
