"""Hints between tasks; none is kept for those who do not listen."""

import asyncio

from dartjobs.bus.memory import MemoryBus


async def test_a_hint_that_came_before_the_wait_is_heard_once() -> None:
    bus = MemoryBus()
    with bus.subscribe("a", "b") as hints:
        await bus.publish("b")
        await bus.publish("a")
        assert await hints.wait(0)
        assert not await hints.wait(0)
        await bus.publish("c")
        assert not await hints.wait(0)


async def test_every_subscriber_hears_it_and_none_after_it_left() -> None:
    bus = MemoryBus()
    with bus.subscribe("a") as first, bus.subscribe("a") as second:
        waiting = asyncio.gather(first.wait(5), second.wait(5))
        await asyncio.sleep(0)
        await bus.publish("a")
        assert all(await waiting)
    await bus.publish("a")
    with bus.subscribe("a") as late:
        assert not await late.wait(0)
