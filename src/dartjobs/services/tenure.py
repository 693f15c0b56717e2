"""Hold a lease for as long as a context is open: wait for it, prolong it, let go of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import leases
from dartjobs.store.database import StaleError
from dartjobs.store.leases import Lease

_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a lease is held."""

    duration: timedelta
    """After so long without a sign others may take it."""
    heartbeat: timedelta
    """Between two renewals."""


@asynccontextmanager
async def held_lease(platform: Platform, name: str, holder: str, terms: Terms) -> AsyncIterator[Lease]:
    """Wait until the lease is ours; let go of it at the end, so that a standby takes over at once.

    Raises:
        UnavailableError: the database is away.
    """
    lease = await _wait_for(platform, name, holder, terms)
    try:
        yield lease
    finally:
        with contextlib.suppress(StaleError, UnavailableError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await platform.database.write(partial(leases.release, lease=lease))
            await platform.bus.publish(topics.lease_topic(name))


@asynccontextmanager
async def renewing(
    platform: Platform, lease: Lease, terms: Terms, look: Callable[[], Awaitable[bool]] | None = None
) -> AsyncIterator[None]:
    """Prolong the lease while the context is open; `look` says before each renewal whether its cluster can be seen.

    Raises:
        ExceptionGroup: of StaleError, when the lease was lost; of UnavailableError, when the database was away.
    """
    async with asyncio.TaskGroup() as tasks:
        renewal = tasks.create_task(_renew(platform, lease, terms, look))
        try:
            yield
        finally:
            renewal.cancel()


async def _wait_for(platform: Platform, name: str, holder: str, terms: Terms) -> Lease:
    see = partial(leases.is_free, name=name, holder=holder)
    take = partial(leases.acquire, name=name, holder=holder, duration=terms.duration)
    with platform.bus.subscribe(topics.lease_topic(name)) as hints:
        while True:
            if await platform.database.read(see):
                lease = await platform.database.write(take)
                if lease is not None:
                    return lease
            await hints.wait(terms.heartbeat.total_seconds())


async def _renew(platform: Platform, lease: Lease, terms: Terms, look: Callable[[], Awaitable[bool]] | None) -> None:
    renew = partial(leases.renew, lease=lease, duration=terms.duration, period=terms.heartbeat)
    while True:
        await asyncio.sleep(terms.heartbeat.total_seconds())
        reachable = True if look is None else await look()
        await platform.database.write(partial(renew, reachable=reachable))
