"""What every bus must do; Redis joins when `DARTJOBS_TEST_REDIS_URL` is set."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dartjobs.bus.base import Bus, Subscription
from dartjobs.bus.memory import MemoryBus
from dartjobs.bus.open import open_bus
from dartjobs.bus.polling import BUSY_PAUSE, BUSY_SECONDS, IDLE_PAUSE, PollingBus, pause
from dartjobs.bus.redis import RedisBus
from dartjobs.bus.settings import BusSettings
from testbed.servers import Redis

REDIS = os.environ.get("DARTJOBS_TEST_REDIS_URL")
URLS = ["memory:", "polling:", *([REDIS] if REDIS else [])]
LONG = 60.0
NOBODY = "redis://127.0.0.1:1"
"""A port on which nothing listens."""


def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"


async def quiet(hints: Subscription) -> None:
    """Take what was hinted so far."""
    while await hints.wait(0):
        pass


@pytest.fixture(params=URLS, ids=lambda url: url.partition(":")[0])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    opened = open_bus(BusSettings(url=request.param, prefix=prefix()))
    if isinstance(opened, RedisBus):
        await opened.connected()
    yield opened
    await opened.close()


async def test_a_hint_that_came_before_the_wait_is_heard(bus: Bus) -> None:
    with bus.subscribe("a", "b") as hints:
        await quiet(hints)
        await bus.publish("b")
        await bus.publish("a")
        assert await hints.wait(0)


async def test_a_hint_is_heard_once_and_no_other_topic_is(bus: Bus) -> None:
    with bus.subscribe("a") as hints:
        await bus.publish("a")
        await quiet(hints)
        await bus.publish("b")
        assert not await hints.wait(0)


async def test_every_subscriber_hears_it_and_none_after_it_left(bus: Bus) -> None:
    with bus.subscribe("a") as first, bus.subscribe("a") as second:
        waiting = asyncio.gather(first.wait(LONG), second.wait(LONG))
        await asyncio.sleep(0)
        await bus.publish("a")
        assert all(await waiting)
    await bus.publish("a")
    with bus.subscribe("a") as late:
        assert not await late.wait(0)


async def test_who_found_something_may_say_so(bus: Bus) -> None:
    with bus.subscribe("a") as hints:
        hints.found()
        await bus.publish("a")
        assert await hints.wait(LONG)


async def test_an_url_of_no_bus_is_refused() -> None:
    with pytest.raises(ValueError, match="is no bus"):
        open_bus(BusSettings(url="smoke-signals:"))


async def test_it_can_be_closed_unused(bus: Bus) -> None:
    await bus.close()


def test_polling_is_quick_only_while_there_is_news() -> None:
    assert pause(0.0) == pause(BUSY_SECONDS / 2) == BUSY_PAUSE
    assert pause(BUSY_SECONDS) == pause(3_600.0) == IDLE_PAUSE


async def test_memory_is_silent_without_a_hint() -> None:
    with MemoryBus().subscribe("a") as hints:
        assert not await hints.wait(2 * BUSY_PAUSE)


async def test_polling_says_without_a_hint_that_it_is_time_to_look() -> None:
    with PollingBus().subscribe("a") as hints:
        assert await hints.wait(LONG)


async def test_without_redis_hints_stay_in_the_process_and_others_are_polled_for() -> None:
    bus = RedisBus(NOBODY)
    with bus.subscribe("a") as hints:
        assert await hints.wait(LONG)
        for _ in range(100):
            await bus.publish("a")
        assert await hints.wait(0)
    await bus.close()


if REDIS:

    @pytest.fixture
    async def two() -> AsyncIterator[tuple[RedisBus, RedisBus]]:
        """Two processes' buses."""
        shared = prefix()
        pair = RedisBus(str(REDIS), shared), RedisBus(str(REDIS), shared)
        for one in pair:
            await one.connected()
        yield pair
        for one in pair:
            await one.close()

    async def test_a_hint_reaches_another_process(two: tuple[RedisBus, RedisBus]) -> None:
        mine, other = two
        with other.subscribe("a") as hints:
            assert await hints.wait(LONG)  # the subscription stands: what was hinted before it is looked for
            await mine.publish("a")
            assert await hints.wait(LONG)

    async def test_installations_on_one_redis_do_not_hear_each_other(two: tuple[RedisBus, RedisBus]) -> None:
        mine, other = two
        foreign = RedisBus(str(REDIS), prefix())
        await foreign.connected()
        with other.subscribe("a") as hints:
            assert await hints.wait(LONG)
            await foreign.publish("a")
            await foreign.close()
            await mine.publish("b")
            assert not await hints.wait(10 * BUSY_PAUSE)

    async def test_a_topic_is_followed_only_while_somebody_listens(two: tuple[RedisBus, RedisBus]) -> None:
        mine, other = two
        for _ in range(3):
            with other.subscribe("a") as hints, other.subscribe("a", "b"):
                await mine.publish("a")
                assert await hints.wait(LONG)

    async def test_many_hints_at_once_are_few_on_the_wire_and_none_blocks(two: tuple[RedisBus, RedisBus]) -> None:
        mine, other = two
        with other.subscribe("last") as hints:
            assert await hints.wait(LONG)
            for number in range(5_000):
                await mine.publish(f"job:{number % 700}")
            await mine.publish("last")
            assert await hints.wait(LONG)

    async def test_redis_may_be_killed_and_come_back(tmp_path: Path) -> None:
        server = Redis(tmp_path)
        await asyncio.to_thread(server.start)
        mine, other = RedisBus(server.url), RedisBus(server.url)
        try:
            await asyncio.gather(mine.connected(), other.connected())
            with other.subscribe("a") as hints, mine.subscribe("b") as mine_too:
                assert await asyncio.gather(hints.wait(LONG), mine_too.wait(LONG))  # the subscriptions stand
                server.kill()
                assert all(await asyncio.gather(hints.wait(LONG), mine_too.wait(LONG)))  # both have noticed
                await mine.publish("a")  # lost, and no error
                await asyncio.to_thread(server.start)
                await asyncio.gather(mine.connected(), other.connected())
                await quiet(hints)
                await mine.publish("a")
                assert await hints.wait(LONG)
        finally:
            await asyncio.gather(mine.close(), other.close())
            server.stop()
