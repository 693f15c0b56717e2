"""The protocol of a bus, and the topics on it."""

from contextlib import AbstractContextManager
from typing import Protocol

QUEUE = "queue"
"""There is queued work, or a queued job is to be stopped."""


def job_topic(job_id: str) -> str:
    """Something about this job changed."""
    return f"job:{job_id}"


def log_topic(attempt_id: str) -> str:
    """The attempt's log grew or was closed."""
    return f"log:{attempt_id}"


def cluster_topic(cluster: str) -> str:
    """There are wake-ups for this cluster's Sync Service."""
    return f"cluster:{cluster}"


def lease_topic(name: str) -> str:
    """The lease was let go of."""
    return f"lease:{name}"


class Subscription(Protocol):
    """Hints on some topics since the subscription began."""

    async def wait(self, timeout_seconds: float) -> bool:
        """True when it is time to look, False after the timeout.

        It is time as soon as there was a hint since the last wait, and wherever one may have been missed: a bus that
        cannot hear other processes says so at its own pace.
        """
        ...

    def found(self) -> None:
        """What was looked at had changed, so more may come soon: a bus that polls does so quickly for a while."""
        ...


class Bus(Protocol):
    """Publish and subscribe; at most once, in no order."""

    async def publish(self, topic: str) -> None:
        """Hint at this topic. Never raises for a hint that is lost, and never waits for a network."""
        ...

    def subscribe(self, *topics: str) -> AbstractContextManager[Subscription]:
        """Hear hints on these topics while the context is open."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
