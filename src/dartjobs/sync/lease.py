"""Hold a cluster's lease: take it, register the cluster, prolong it, and know how fresh the view of it is."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.drivers.base import Driver, DriverError, TemporaryDriverError
from dartjobs.services.platform import Platform
from dartjobs.services.tenure import Terms, held_lease, renewing
from dartjobs.store import due, leases
from dartjobs.store.clusters import Registration
from dartjobs.store.leases import Lease
from dartjobs.sync.settings import SyncSettings

_log = logging.getLogger(__name__)
_FRESH_SECONDS = 10.0
_LOOK_SECONDS = 3.0


class ClusterWatch:
    """Registers the cluster, and knows when it was last seen: by a clock that goes on while this process is stopped."""

    def __init__(self, platform: Platform, driver: Driver, settings: SyncSettings) -> None:
        self.registration: Registration | None = None
        """What the cluster last said of itself."""
        self._seen_at = -1e9
        self._lists = True
        self._platform = platform
        self._driver = driver
        self._settings = settings

    async def register(self) -> None:
        """Record the cluster, or what is new about it.

        Raises:
            DriverError: the cluster cannot be seen.
            RecreatedClusterError: it is another one than that which was registered under this name.
        """
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                identity, capacity = await self._driver.identity(), await self._driver.capacity()
        except TimeoutError as error:
            msg = f"it did not answer within {_LOOK_SECONDS} s"
            raise TemporaryDriverError(msg) from error
        registration = Registration(self._settings.cluster, identity, capacity, dict(self._settings.labels))
        if registration != self.registration:
            await self._platform.database.write(partial(due.register_cluster, registration=registration))
            self.registration = registration
            await self._platform.bus.publish(topics.QUEUE)
        self.seen()

    def seen(self) -> None:
        """It answered now."""
        self._seen_at = time.monotonic()

    def lists(self, *, answers: bool) -> None:
        """Whether it says what it holds: one that does not is unreachable, whatever else it answers."""
        self._lists = answers
        if answers:
            self.seen()

    @property
    def is_fresh(self) -> bool:
        """Whether it was seen so lately that new work may be claimed for it."""
        return time.monotonic() - self._seen_at < _FRESH_SECONDS

    async def is_visible(self) -> bool:
        """Look at the cluster once, and record what is new about it.

        Raises:
            RecreatedClusterError: it is another one than that which was registered under this name.
        """
        try:
            await self.register()
        except DriverError as error:
            _log.warning("cluster %s cannot be seen: %s", self._settings.cluster, error)
            return False
        return self._lists


@asynccontextmanager
async def hold_lease(
    platform: Platform, driver: Driver, settings: SyncSettings, holder: str
) -> AsyncIterator[tuple[Lease, ClusterWatch]]:
    """Wait for the lease and for a sight of the cluster, and prolong the lease while the context is open.

    Raises:
        RecreatedClusterError: it is another one than that which was registered under this name.
        ExceptionGroup: of StaleError, when the lease was lost; of UnavailableError, when the database was away.
    """
    terms = Terms(settings.lease, settings.heartbeat)
    async with held_lease(platform, settings.cluster, holder, terms) as lease:
        watch = ClusterWatch(platform, driver, settings)
        renew = partial(leases.renew, lease=lease, duration=settings.lease, period=settings.heartbeat)
        while not await watch.is_visible():
            await platform.database.write(partial(renew, reachable=False))
            await asyncio.sleep(settings.heartbeat.total_seconds())
        await platform.database.write(renew)
        _log.info("%s holds the lease of %s at epoch %d", holder, lease.name, lease.epoch)
        async with renewing(platform, lease, terms, watch.is_visible):
            yield lease, watch
