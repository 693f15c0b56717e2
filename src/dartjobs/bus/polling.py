"""The bus of several processes with nothing between them: who waits looks for himself, often while there is news."""

import time
from collections.abc import Callable

from dartjobs.bus.memory import MemoryBus, MemorySubscription

BUSY_PAUSE = 0.05
"""Seconds between two looks while there is news: half of it is what a change waits on average."""
IDLE_PAUSE = 1.0
"""Seconds between two looks otherwise."""
BUSY_SECONDS = 5.0
"""So long after the last news more is expected."""


def pause(quiet_seconds: float) -> float:
    """Seconds until the next look, so long after the last news."""
    return BUSY_PAUSE if quiet_seconds < BUSY_SECONDS else IDLE_PAUSE


class PollingSubscription(MemorySubscription):
    """Hears this process at once, and says at its own pace that others may have hinted.

    A subscription begins as busy: somebody has just begun to wait for something.
    """

    def __init__(self, is_deaf: Callable[[], bool]) -> None:
        """`is_deaf` says whether hints of other processes are missed now."""
        super().__init__()
        self._is_deaf = is_deaf
        self._news_at = time.monotonic()

    async def wait(self, timeout_seconds: float) -> bool:
        """True for a hint, or when a look is due; False after the timeout."""
        if not self._is_deaf():
            return await super().wait(timeout_seconds)
        due = pause(time.monotonic() - self._news_at)
        if await super().wait(min(timeout_seconds, due)):
            self.found()
            return True
        return due < timeout_seconds

    def found(self) -> None:
        """Look often for a while."""
        self._news_at = time.monotonic()


class PollingBus(MemoryBus):
    """Hints between the tasks of one process; what others hint is found by looking."""

    def _subscription(self) -> MemorySubscription:
        return PollingSubscription(self._is_deaf)

    def _is_deaf(self) -> bool:
        return True
