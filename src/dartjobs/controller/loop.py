"""The controller's loop: one tenure of its lease after the other, a pass at each hint and each second."""

import asyncio
import logging
import time

from dartjobs.bus import base as topics
from dartjobs.controller.lost import Lost
from dartjobs.controller.packages import sweep_packages
from dartjobs.controller.queued import Queue
from dartjobs.controller.retention import forget_old
from dartjobs.controller.settings import ControllerSettings
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.services.tenure import Terms, held_lease, renewing
from dartjobs.store.database import StaleError
from dartjobs.store.leases import CONTROLLER, Lease

_log = logging.getLogger(__name__)
_AFTER_A_BREAK = 1.0


class Controller:
    """Owns what no cluster owns: queued attempts, attempts on lost clusters, and what is kept for a time only."""

    def __init__(self, platform: Platform, settings: ControllerSettings, holder: str) -> None:
        self._platform = platform
        self._settings = settings
        self._holder = holder

    async def run(self) -> None:
        """Serve until cancelled; take the lease again when it was lost or the database was away."""
        sweeping = asyncio.create_task(sweep_packages(self._platform, self._settings))
        try:
            await self._hold()
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)

    async def _hold(self) -> None:
        terms = Terms(self._settings.lease, self._settings.heartbeat)
        while True:
            try:
                async with (
                    held_lease(self._platform, CONTROLLER, self._holder, terms) as lease,
                    renewing(self._platform, lease, terms),
                ):
                    await self._serve(lease)
            except* (StaleError, UnavailableError) as group:
                _log.warning("the controller's lease is to be taken again: %s", group.exceptions)
                await asyncio.sleep(_AFTER_A_BREAK)

    async def _serve(self, lease: Lease) -> None:
        queue, lost = Queue(self._platform, lease), Lost(self._platform, lease)
        forget_at = 0.0
        with self._platform.bus.subscribe(topics.QUEUE) as hints:
            while True:
                found = await queue.look() + await lost.look()
                if time.monotonic() >= forget_at:
                    forget_at = time.monotonic() + self._settings.retention_poll.total_seconds()
                    await forget_old(self._platform, self._settings)
                if found:
                    hints.found()
                await hints.wait(self._settings.poll.total_seconds())
