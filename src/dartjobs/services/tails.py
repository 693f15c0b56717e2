"""The live end of logs: for each attempt one reader, whatever the number of followers."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from functools import partial

from dartjobs.blobs.logs import Logs
from dartjobs.bus import base as topics
from dartjobs.bus.base import Bus
from dartjobs.models.problem import DartJobsError
from dartjobs.services.shared import Feed, Hub
from dartjobs.store import evidence
from dartjobs.store.database import Database

STREAM = "driver"
"""Standard output and standard error of the entrypoint, in the order in which a terminal would show them."""
KEPT = 2 * 2**20
"""Bytes of each followed log that are kept for its followers; who is further behind reads the store."""
_IDLE_SECONDS = 60.0
_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Tail:
    """The last bytes of a log. Those who are at the same place are given the same object."""

    def __init__(self, start: int, kept: int = KEPT) -> None:
        self.start = start
        """Offset of the first byte that is kept."""
        self.end = start
        self.complete = False
        """Nothing will be added."""
        self._kept = kept
        self._chunks: deque[tuple[int, bytes]] = deque()

    def add(self, chunk: bytes) -> None:
        """Append, and forget what is too old; the newest chunk is always kept."""
        self._chunks.append((self.end, chunk))
        self.end += len(chunk)
        while self.end - self.start > self._kept and len(self._chunks) > 1:
            self._chunks.popleft()
            self.start = self._chunks[0][0]

    def after(self, position: int) -> bytes:
        """What is kept from that offset on, up to the end of a chunk; empty at the end."""
        for at, chunk in reversed(self._chunks):
            if at <= position:
                return chunk[position - at :] if position > at else chunk
        return b""


class Tails:
    """The logs that are followed in this process."""

    def __init__(self, database: Database, bus: Bus, logs: Logs) -> None:
        self._database = database
        self._bus = bus
        self._logs = logs
        self._hub: Hub[str, Tail] = Hub(self._read)

    async def follow(self, attempt_id: str, position: int) -> AsyncIterator[bytes]:
        """The log from that offset on, as it comes, until it is complete or nothing comes for a minute."""
        async with self._hub.listen(attempt_id) as feed:
            while True:
                serial, tail = feed.serial, feed.value
                if tail is not None:
                    async for chunk in self._behind(attempt_id, position, tail):
                        position += len(chunk)
                        yield chunk
                    while chunk := tail.after(position):
                        position += len(chunk)
                        yield chunk
                    if tail.complete and position >= tail.end:
                        return
                if not await feed.changed(serial, _IDLE_SECONDS):
                    return

    async def is_complete(self, attempt_id: str) -> bool | None:
        """Whether nothing will be added to the attempt's log; None: there is no such attempt."""
        return await self._database.read(partial(evidence.is_log_complete, attempt_id=attempt_id))

    async def _behind(self, attempt_id: str, position: int, tail: Tail) -> AsyncIterator[bytes]:
        """What the store has for who is further back than what is kept, until he has caught up."""
        while position < tail.start:
            before = position
            async for chunk in self._logs.read(attempt_id, STREAM, position, tail.start):
                position += len(chunk)
                yield chunk
            if position == before:
                return

    async def _read(self, attempt_id: str, feed: Feed[Tail]) -> None:
        tail = Tail(await self._patiently(attempt_id))
        feed.publish(tail)
        with self._bus.subscribe(topics.log_topic(attempt_id)) as hints:
            while not tail.complete:
                try:
                    if await self._grow(attempt_id, tail, feed):
                        hints.found()
                    elif await self.is_complete(attempt_id) is not False:
                        await self._grow(attempt_id, tail, feed)
                        tail.complete = True
                        feed.publish(tail)
                        return
                except DartJobsError as error:
                    _log.warning("the log of %s is read again: %s", attempt_id, error)
                await hints.wait(_POLL_SECONDS)

    async def _grow(self, attempt_id: str, tail: Tail, feed: Feed[Tail]) -> bool:
        """Publish what is new; whether there was anything."""
        before = tail.end
        async for chunk in self._logs.read(attempt_id, STREAM, tail.end):
            tail.add(chunk)
            feed.publish(tail)
        return tail.end > before

    async def _patiently(self, attempt_id: str) -> int:
        while True:
            try:
                return await self._logs.end(attempt_id, STREAM)
            except DartJobsError as error:
                _log.warning("the log of %s is looked for again: %s", attempt_id, error)
                await asyncio.sleep(_POLL_SECONDS)
