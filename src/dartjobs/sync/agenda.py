"""When to look at which attempt: at most one look at a time for each. A step costs the logarithm of their number."""

import asyncio
import heapq
import time
from datetime import timedelta

from dartjobs.store.wakeups import Wakeup


class Agenda:
    """Attempts that are due, by the monotonic clock; a wake-up that comes during a look leads to another look."""

    def __init__(self, most: int = 1_000) -> None:
        """At most `most` are looked at together."""
        self._most = most
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """Has all of `_due`, and what is no longer so."""
        self._running: set[str] = set()
        self._wakeups: dict[str, Wakeup] = {}
        """Those that were read and not yet deleted: each leads to one look."""
        self._answered: set[Wakeup] = set()
        self.changed = asyncio.Event()
        """Something may be due, or a place for another look is free."""

    def add(self, attempt_id: str, wakeup: Wakeup | None = None) -> None:
        """It is due now; with a wake-up, once for each of its generations."""
        if wakeup is not None:
            if self._wakeups.get(attempt_id) == wakeup:
                return
            self._wakeups[attempt_id] = wakeup
        self._schedule(attempt_id, 0.0)

    def ensure(self, attempt_id: str) -> None:
        """It is due now unless it is on the agenda already."""
        if attempt_id not in self._due and attempt_id not in self._running:
            self._schedule(attempt_id, 0.0)

    def wakeup_of(self, attempt_id: str) -> Wakeup | None:
        """The wake-up that a look which begins now answers."""
        wakeup = self._wakeups.get(attempt_id)
        return None if wakeup in self._answered else wakeup

    def take_due(self) -> list[str]:
        """Those that are due and not being looked at; they count as being looked at from now on."""
        now, taken = time.monotonic(), []
        while self._heap and self._heap[0][0] <= now and len(self._running) < self._most:
            at, one = heapq.heappop(self._heap)
            if self._due.get(one) != at:
                continue
            if one in self._running:
                continue  # `done` puts it back
            del self._due[one]
            self._running.add(one)
            taken.append(one)
        return taken

    def done(self, attempt_id: str, after: timedelta | None) -> None:
        """A look is over; look again after so long, unless something made it due before."""
        self._running.discard(attempt_id)
        at = float("inf") if after is None else time.monotonic() + max(0.0, after.total_seconds())
        at = min(at, self._due.get(attempt_id, float("inf")))
        if at < float("inf"):
            self._schedule(attempt_id, at)
        self.changed.set()

    def answered(self, wakeup: Wakeup) -> None:
        """Its row is about to be deleted."""
        self._answered.add(wakeup)

    def forget(self, wakeup: Wakeup) -> None:
        """Its row was deleted, or could not be: a row that is read again leads to another look."""
        self._answered.discard(wakeup)
        if self._wakeups.get(wakeup.attempt_id) == wakeup:
            del self._wakeups[wakeup.attempt_id]

    async def wait(self, longest: float) -> None:
        """Until something has changed or is due, at most `longest` seconds."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        soonest = self._heap[0][0] if self._heap and len(self._running) < self._most else float("inf")
        try:
            async with asyncio.timeout(max(0.0, min(longest, soonest - time.monotonic()))):
                await self.changed.wait()
        except TimeoutError:
            return
        finally:
            self.changed.clear()

    def _schedule(self, attempt_id: str, at: float) -> None:
        self._due[attempt_id] = at
        heapq.heappush(self._heap, (at, attempt_id))
        self.changed.set()
