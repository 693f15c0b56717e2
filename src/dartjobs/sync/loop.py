"""The Sync Service: one tenure of its cluster's lease after the other."""

import asyncio
import logging
from functools import partial

from dartjobs.core.policy import Policy
from dartjobs.drivers.base import Driver, TemporaryDriverError
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import placement
from dartjobs.store.clusters import RecreatedClusterError
from dartjobs.store.database import StaleError
from dartjobs.sync.acts import Actor
from dartjobs.sync.claims import Claims
from dartjobs.sync.lease import hold_lease
from dartjobs.sync.ledger import Ledger
from dartjobs.sync.room import Room
from dartjobs.sync.settings import SyncSettings
from dartjobs.sync.tenure import Tenure

_log = logging.getLogger(__name__)
_AFTER_A_FAULT = 30.0
_AFTER_A_BREAK = 1.0


class SyncService:
    """Reconciles one cluster with the database for as long as it holds the cluster's lease."""

    def __init__(
        self,
        platform: Platform,
        driver: Driver,
        settings: SyncSettings,
        *,
        holder: str,
        secret: bytes,
        installation: str,
        policy: Policy | None = None,
    ) -> None:
        self._platform = platform
        self._driver = driver
        self._settings = settings
        self._identity = (holder, secret, installation)
        self._policy = policy or Policy()

    async def run(self) -> None:
        """Serve until cancelled; take the lease again when it was lost or the database was away."""
        while True:
            try:
                await self._serve()
            except* (StaleError, UnavailableError, TemporaryDriverError) as group:
                _log.warning("the lease of %s is to be taken again: %s", self._settings.cluster, group.exceptions)
                await asyncio.sleep(_AFTER_A_BREAK)
            except* RecreatedClusterError as group:
                _log.error("quarantined: %s. Register it under another name.", group.exceptions)
                await asyncio.sleep(_AFTER_A_FAULT)

    async def _serve(self) -> None:
        holder, secret, installation = self._identity
        async with hold_lease(self._platform, self._driver, self._settings, holder) as (lease, watch):
            room = Room(await self._platform.database.read(partial(placement.promised, cluster=lease.name)))
            ledger = Ledger(self._platform, lease, room)
            url = self._settings.gateway_url
            actor = Actor(self._platform, self._driver, lease, url, secret, installation, ledger.record)
            claims = Claims(self._platform, lease, watch, room, ledger.actor)
            await Tenure(actor, ledger, claims, self._settings, self._policy).run()
