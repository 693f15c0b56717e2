"""One item that is malformed must not fail those beside it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from dartjobs.models.problem import UnavailableError
from dartjobs.store.database import StaleError

T = TypeVar("T")
R = TypeVar("R")


async def isolated(
    work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], items: Sequence[T]
) -> Sequence[R | Exception]:
    """The results of `work` for all items together; where that fails, of each alone, or what it failed with.

    Raises:
        StaleError, UnavailableError: they are about no item, so that nothing is tried alone.
    """
    try:
        return await work(items)
    except (StaleError, UnavailableError):
        raise
    except Exception as error:  # noqa: BLE001 - it is the item's own
        if len(items) == 1:
            return [error]
        return [result for one in items for result in await isolated(work, [one])]
