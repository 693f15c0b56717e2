"""The bus of the embedded form: one process, one event loop."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class MemorySubscription:
    """An event that any of its topics sets."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Remember that there was a hint."""
        self._event.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """True as soon as there was a hint since the last wait, False after the timeout."""
        try:
            async with asyncio.timeout(max(0.0, timeout_seconds)):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def found(self) -> None:
        """Nothing to do: every hint is heard."""


class MemoryBus:
    """Hints between the tasks of one process."""

    def __init__(self) -> None:
        self._subscriptions: defaultdict[str, set[MemorySubscription]] = defaultdict(set)

    async def publish(self, topic: str) -> None:
        """Wake every subscriber of the topic."""
        self._wake(topic)

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[MemorySubscription]:
        """Hear hints on these topics while the context is open."""
        subscription = self._subscription()
        for topic in topics:
            self._subscriptions[topic].add(subscription)
        try:
            yield subscription
        finally:
            for topic in topics:
                self._subscriptions[topic].discard(subscription)
                if not self._subscriptions[topic]:
                    del self._subscriptions[topic]

    async def close(self) -> None:
        """Nothing is open."""

    def _subscription(self) -> MemorySubscription:
        return MemorySubscription()

    def _wake(self, topic: str) -> None:
        for subscription in self._subscriptions.get(topic, ()):
            subscription.set()
