"""When to look at which attempt: at most one look at a time for each."""

import asyncio
import time
from datetime import timedelta

from dartjobs.bus.base import Subscription
from dartjobs.store.wakeups import Wakeup


class Agenda:
    """Attempts that are due, by the monotonic clock; a wake-up that comes during a look leads to another look."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._running: set[str] = set()
        self._wakeups: dict[str, Wakeup] = {}
        self._changed = asyncio.Event()

    def add(self, attempt_id: str, wakeup: Wakeup | None = None) -> None:
        """It is due now; with a wake-up, once for each of its generations."""
        if wakeup is not None:
            if self._wakeups.get(attempt_id) == wakeup:
                return
            self._wakeups[attempt_id] = wakeup
        self._due[attempt_id] = 0.0

    def wakeup_of(self, attempt_id: str) -> Wakeup | None:
        """The wake-up that a look which begins now answers."""
        return self._wakeups.get(attempt_id)

    def take_due(self) -> list[str]:
        """Those that are due and not being looked at; they count as being looked at from now on."""
        now = time.monotonic()
        due = [one for one, at in self._due.items() if at <= now and one not in self._running]
        for one in due:
            del self._due[one]
        self._running.update(due)
        return due

    def done(self, attempt_id: str, after: timedelta | None, wakeup: Wakeup | None) -> None:
        """A look is over; look again after so long, unless something made it due before."""
        self._running.discard(attempt_id)
        if self._wakeups.get(attempt_id) == wakeup:
            self._wakeups.pop(attempt_id, None)
        if after is not None:
            at = time.monotonic() + max(0.0, after.total_seconds())
            self._due[attempt_id] = min(at, self._due.get(attempt_id, at))
        self._changed.set()

    async def wait(self, hints: Subscription, longest: float) -> None:
        """Wait for a hint, for the end of a look, or until something is due, at most `longest` seconds."""
        soonest = min((at for one, at in self._due.items() if one not in self._running), default=float("inf"))
        timeout = max(0.001, min(longest, soonest - time.monotonic()))
        waits = [asyncio.ensure_future(hints.wait(timeout)), asyncio.ensure_future(self._changed.wait())]
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            self._changed.clear()
