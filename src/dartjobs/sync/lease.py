"""Hold a cluster's lease: take it, register the cluster, prolong it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from dartjobs.drivers.base import Driver
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import clusters, leases
from dartjobs.store.clusters import Registration
from dartjobs.store.leases import Lease
from dartjobs.sync.settings import SyncSettings

_log = logging.getLogger(__name__)
_LET_GO_SECONDS = 2.0
_BLIND_AFTER = 3
"""So many heartbeats missed in a row count as time in which nobody looked."""


@asynccontextmanager
async def hold_lease(platform: Platform, driver: Driver, settings: SyncSettings, holder: str) -> AsyncIterator[Lease]:
    """Wait for the lease, register the cluster, and prolong the lease while the context is open.

    A task that is cancelled inside lets go of it, so that a standby need not wait until it expires.

    Raises:
        ExceptionGroup: of StaleError, when the lease was lost; of UnavailableError, when the database was away.
    """
    await _register(platform, driver, settings)
    lease = await _acquire(platform, settings, holder)
    _log.info("%s holds the lease of %s at epoch %d", holder, lease.name, lease.epoch)
    try:
        async with asyncio.TaskGroup() as tasks:
            renewal = tasks.create_task(_renew(platform, driver, settings, lease))
            yield lease
            renewal.cancel()
    except asyncio.CancelledError:
        await let_go(platform, lease.name, holder)
        raise


async def let_go(platform: Platform, name: str, holder: str) -> None:
    """Release a lease, if that goes quickly: it expires in any case."""
    with contextlib.suppress(UnavailableError, TimeoutError):
        async with asyncio.timeout(_LET_GO_SECONDS):
            await platform.database.write(partial(leases.release, name=name, holder=holder))


async def _acquire(platform: Platform, settings: SyncSettings, holder: str) -> Lease:
    take = partial(leases.acquire, name=settings.cluster, holder=holder, duration=settings.lease)
    while True:
        lease = await platform.database.write(take)
        if lease is not None:
            return lease
        await asyncio.sleep(settings.heartbeat.total_seconds())


async def _register(platform: Platform, driver: Driver, settings: SyncSettings) -> None:
    registration = Registration(
        settings.cluster, await driver.identity(), await driver.capacity(), dict(settings.labels)
    )
    await platform.database.write(partial(clusters.register, registration=registration))


async def _renew(platform: Platform, driver: Driver, settings: SyncSettings, lease: Lease) -> None:
    last, period = time.monotonic(), settings.heartbeat.total_seconds()
    while True:
        await asyncio.sleep(period)
        await platform.database.write(partial(leases.renew, lease=lease, duration=settings.lease))
        gap, last = time.monotonic() - last, time.monotonic()
        if gap > _BLIND_AFTER * period:
            await platform.database.write(partial(leases.add_blind_seconds, cluster=lease.name, seconds=gap - period))
        await _register(platform, driver, settings)
