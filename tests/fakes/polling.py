"""Waiting for a condition of the real world, bounded."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Look every 20 ms until the condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


async def eventually(look: Callable[[], Awaitable[T]], condition: Callable[[T], object], seconds: float = 60.0) -> T:
    """Look every 50 ms until what is seen meets the condition; answers that.

    Raises:
        AssertionError: it does not in time.
    """
    end = time.monotonic() + seconds
    while not condition(seen := await look()):
        assert time.monotonic() < end, f"not within {seconds} s; last seen: {seen}"
        await asyncio.sleep(0.05)
    return seen
