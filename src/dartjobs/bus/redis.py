"""The bus of several processes: Redis or Valkey pub/sub, and polling for as long as it is away."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from dartjobs.bus.memory import MemorySubscription
from dartjobs.bus.polling import PollingBus

_log = logging.getLogger(__name__)
_TIMEOUT = 5.0
"""Seconds for a connection, or for one exchange on it."""
_PING_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
"""A connection on which no answer to a ping comes for so long is dead, whatever the kernel says."""
_MOST_PENDING = 10_000
"""Hints that wait for the wire; what comes beyond is lost."""
_AT_ONCE = 500


class RedisBus(PollingBus):
    """One connection for everything that this process listens to, one for what it says.

    Both are made again together when either fails. Hints that were missed in between are made up for by waking every
    subscriber: it looks for itself. Redis itself answers no request and holds no truth, so it needs no persistence.
    """

    def __init__(self, url: str, prefix: str = "dartjobs") -> None:
        """`prefix` keeps installations on one Redis apart: its numbered databases do not divide pub/sub.

        Raises:
            ValueError: the URL is none of Redis.
        """
        super().__init__()
        self._client = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # a silent reconnection would hide what was missed
        )
        self._prefix = f"{prefix}:"
        self._connected = asyncio.Event()
        self._pending: dict[str, None] = {}
        self._has_pending = asyncio.Event()
        self._topics_changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def publish(self, topic: str) -> None:
        """Wake this process's subscribers now, those of others soon; equal hints that wait together become one."""
        self._ensure_running()
        self._wake(topic)
        if self._connected.is_set() and len(self._pending) < _MOST_PENDING:
            self._pending[topic] = None
            self._has_pending.set()

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator[MemorySubscription]:
        """Hear hints on these topics while the context is open."""
        self._ensure_running()
        try:
            with super().subscribe(*topics) as subscription:
                self._topics_changed.set()
                yield subscription
        finally:
            self._topics_changed.set()

    async def connected(self) -> None:
        """Wait until Redis answers."""
        self._ensure_running()
        await self._connected.wait()

    async def close(self) -> None:
        """Say what is pending, if that goes quickly, and let go of both connections."""
        if self._task is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._say(list(self._pending))
            await _end({self._task})
        await self._client.aclose()

    def _is_deaf(self) -> bool:
        return not self._connected.is_set()

    def _ensure_running(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        backoff, failures = ExponentialWithJitterBackoff(cap=2.0, base=0.05), 0
        while True:
            try:
                await self._serve()
            except (RedisError, OSError, TimeoutError) as error:
                failures = 1 if self._connected.is_set() else failures + 1
                if failures == 1:
                    _log.warning("Redis is away, polling instead: %s", error)
            except Exception:  # noqa: BLE001 - without its task this process would poll for ever
                failures += 1
                _log.exception("Redis is not used for a moment: this is a fault of the platform")
            finally:
                self._connected.clear()
                self._pending.clear()
                self._wake_all()
            await asyncio.sleep(backoff.compute(failures))

    async def _serve(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._prefix)  # nobody publishes there: its answer says that Redis is there
            parts = (self._read(pubsub), self._follow_topics(pubsub), self._ping(pubsub), self._publish())
            tasks = {asyncio.ensure_future(part) for part in parts}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await _end(tasks)

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=_SILENCE_SECONDS)
            if message is None:
                msg = f"no answer for {_SILENCE_SECONDS} s"
                raise RedisConnectionError(msg)
            topic = (message["channel"] or b"").decode().removeprefix(self._prefix)
            if message["type"] == "subscribe" and not topic:
                self._connected.set()
                self._wake_all()
            elif message["type"] in {"message", "subscribe"}:
                self._wake(topic)  # what was hinted before the subscription stood was missed

    async def _follow_topics(self, pubsub: PubSub) -> None:
        followed: set[str] = set()
        while True:
            self._topics_changed.clear()
            wanted = set(self._subscriptions)
            for channels, change in ((wanted - followed, pubsub.subscribe), (followed - wanted, pubsub.unsubscribe)):
                if channels:
                    await change(*(self._prefix + topic for topic in sorted(channels)))
            followed = wanted
            await self._topics_changed.wait()

    async def _ping(self, pubsub: PubSub) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await pubsub.ping()

    async def _publish(self) -> None:
        while True:
            await self._has_pending.wait()
            self._has_pending.clear()
            topics, self._pending = list(self._pending), {}
            for start in range(0, len(topics), _AT_ONCE):
                await self._say(topics[start : start + _AT_ONCE])

    async def _say(self, topics: list[str]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for topic in topics:
                pipeline.publish(self._prefix + topic, "")
            await pipeline.execute()

    def _wake_all(self) -> None:
        for topic in list(self._subscriptions):
            self._wake(topic)


async def _end(tasks: set["asyncio.Task[None]"]) -> None:
    """Cancel until it is done: on Python 3.11 a write that is done in the same instant swallows a cancellation."""
    pending = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
    await asyncio.gather(*tasks, return_exceptions=True)
