"""What is read and recorded under one lease: looks share transactions."""

import asyncio
from collections.abc import Sequence
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.models.state import ResourceState
from dartjobs.services.platform import Platform
from dartjobs.store import attempts
from dartjobs.store.attempts import Answered, Change, Recorded
from dartjobs.store.leases import Lease
from dartjobs.store.loading import Loaded
from dartjobs.store.wakeups import Wakeup
from dartjobs.sync.batches import Batcher
from dartjobs.sync.room import Room


class Ledger:
    """Loads attempts and records changes, many in one transaction; one that is stale does not hinder the others."""

    def __init__(self, platform: Platform, lease: Lease, room: Room) -> None:
        self._platform = platform
        self._lease = lease
        self._room = room
        self._loads: Batcher[str, Loaded | None] = Batcher(self._load)
        self._writes: Batcher[Change, None] = Batcher(self._write)
        self.actor = f"sync/{lease.name}"

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loads.run())
            tasks.create_task(self._writes.run())

    async def load(self, attempt_id: str) -> Loaded | None:
        """All that the database knows about one attempt; None: it knows none of that id.

        Raises:
            MalformedRowError: it cannot be read.
            UnavailableError: the database is away.
        """
        return await self._loads.submit(attempt_id)

    async def record(self, change: Change) -> None:
        """Commit it, and hint at it.

        Raises:
            StaleError: the lease is lost, or the attempt has changed.
            IllegalMoveError: the table has no such move.
            UnavailableError: the database is away.
        """
        await self._writes.submit(change)
        if isinstance(change, Recorded):
            await self._announce(change)

    def release(self, attempt_id: str) -> None:
        """Nothing of it is left, whoever recorded that: there is room for others."""
        self._room.free(attempt_id)

    def answer(self, wakeup: Wakeup) -> "asyncio.Future[None]":
        """Delete the wake-up with what is recorded next."""
        return self._writes.submit(Answered(wakeup))

    async def _load(self, attempt_ids: Sequence[str]) -> list[Loaded | Exception | None]:
        read = partial(attempts.load_many, attempt_ids=sorted(set(attempt_ids)))
        found = await self._platform.database.read(read)
        return [found.get(one) for one in attempt_ids]

    async def _write(self, changes: Sequence[Change]) -> Sequence[Exception | None]:
        record = partial(attempts.record_changes, lease=self._lease, changes=changes, actor=self.actor)
        return await self._platform.database.write(record)

    async def _announce(self, recorded: Recorded) -> None:
        """Hint to watchers that the job changed, and to the queue that there may be a retry or room."""
        attempt, target = recorded.attempt, recorded.move.target
        await self._platform.bus.publish(topics.job_topic(attempt.job_id))
        if target.resource_state is ResourceState.TERMINATED:
            self.release(attempt.id)
        if target.resource_state is ResourceState.TERMINATED or recorded.locks_job:
            await self._platform.bus.publish(topics.QUEUE)
