"""The Sync Service's loop: hints and wake-ups first, then the clock, then a full pass."""

import asyncio
import logging
import time
from datetime import timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.policy import Policy
from dartjobs.core.queueing import choose
from dartjobs.drivers.base import Driver, DriverError, Held, TemporaryDriverError
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, placement, wakeups
from dartjobs.store.clusters import RecreatedClusterError
from dartjobs.store.database import StaleError
from dartjobs.sync.acts import Actor
from dartjobs.sync.agenda import Agenda
from dartjobs.sync.lease import Sight, hold_lease
from dartjobs.sync.reconcile import Reconciler
from dartjobs.sync.settings import SyncSettings
from dartjobs.sync.sweep import Sweeper

_log = logging.getLogger(__name__)
_AFTER_A_FAULT = timedelta(seconds=30)
_AFTER_A_BREAK = timedelta(seconds=1)


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
        holder, secret, installation = self._identity
        while True:
            try:
                async with hold_lease(self._platform, self._driver, self._settings, holder) as (lease, sight):
                    actor = Actor(self._platform, self._driver, lease, self._settings.gateway_url, secret, installation)
                    await _Pass(actor, sight, self._settings, self._policy).run()
            except* (StaleError, UnavailableError, TemporaryDriverError) as group:
                _log.warning("the lease of %s is to be taken again: %s", self._settings.cluster, group.exceptions)
                await asyncio.sleep(_AFTER_A_BREAK.total_seconds())
            except* RecreatedClusterError as group:
                _log.error("quarantined: %s. Register it under another name.", group.exceptions)
                await asyncio.sleep(_AFTER_A_FAULT.total_seconds())


class _Pass:
    """One tenure of the lease."""

    def __init__(self, actor: Actor, sight: Sight, settings: SyncSettings, policy: Policy) -> None:
        self._actor = actor
        self._settings = settings
        self._sight = sight
        self._name = f"sync/{actor.lease.name}"
        self._reconciler = Reconciler(actor, policy, self._name)
        self._sweeper = Sweeper(actor, settings.sweep_grace)
        self._agenda = Agenda()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._database = actor.platform.database
        self._cluster = actor.lease.name

    async def run(self) -> None:
        full_pass_at = 0.0
        bus = self._actor.platform.bus
        with bus.subscribe(topics.cluster_topic(self._cluster), topics.QUEUE) as hints:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    if time.monotonic() >= full_pass_at:
                        await self._look_at_everything()
                        full_pass_at = time.monotonic() + self._settings.full_pass.total_seconds()
                    await self._read_wakeups()
                    await self._claim()
                    for attempt_id in self._agenda.take_due():
                        tasks.create_task(self._look(attempt_id))
                    longest = min(self._settings.poll.total_seconds(), full_pass_at - time.monotonic())
                    await self._agenda.wait(hints, longest)

    async def _look_at_everything(self) -> None:
        held = await self._inventory()
        live = set(await self._database.read(partial(placement.live_ids, cluster=self._cluster)))
        for attempt_id in live:
            self._agenda.add(attempt_id)
        try:
            await self._sweeper.sweep([one for one in held if one.attempt_id not in live])
        except DriverError as error:
            _log.error("orphans could not be swept: %s", error)

    async def _inventory(self) -> list[Held]:
        """Read before what is live, so that what was claimed in between is no orphan."""
        try:
            return await self._actor.driver.inventory()
        except DriverError as error:
            _log.error("orphans could not be looked for: %s", error)
            return []

    async def _read_wakeups(self) -> None:
        for wakeup in await self._database.read(partial(wakeups.read_wakeups, cluster=self._cluster)):
            self._agenda.add(wakeup.attempt_id, wakeup)

    async def _claim(self) -> None:
        if not self._sight.is_fresh:
            return
        queue = await self._database.read(placement.queue)
        if not queue:
            return
        mine = [view for view in await self._database.read(clusters.views) if view.name == self._cluster]
        for queued in choose(queue, mine[0]) if mine else []:
            claim = partial(attempts.claim, lease=self._actor.lease, attempt_id=queued.attempt_id, actor=self._name)
            try:
                await self._database.write(claim)
            except StaleError:
                continue
            self._agenda.add(queued.attempt_id)
            await self._actor.platform.bus.publish(topics.job_topic(queued.attempt_id.rpartition("-")[0]))

    async def _look(self, attempt_id: str) -> None:
        wakeup = self._agenda.wakeup_of(attempt_id)
        async with self._slots:
            after = await self._look_safely(attempt_id)
        if wakeup is not None:
            try:
                await self._database.write(partial(wakeups.delete_wakeup, cluster=self._cluster, wakeup=wakeup))
            except UnavailableError as error:
                _log.warning("the wake-up of %s stays: %s", attempt_id, error)
        self._agenda.done(attempt_id, after, wakeup)

    async def _look_safely(self, attempt_id: str) -> timedelta | None:
        try:
            return await self._reconciler.look(attempt_id)
        except StaleError:
            return _AFTER_A_BREAK / 10
        except (TemporaryDriverError, UnavailableError) as error:
            _log.warning("%s: %s; trying again", attempt_id, error)
            return _AFTER_A_BREAK
        except Exception:  # noqa: BLE001 - one malformed row must not stop the others; it is looked at again
            _log.exception("%s is quarantined for %s: this is a fault of the platform", attempt_id, _AFTER_A_FAULT)
            return _AFTER_A_FAULT
