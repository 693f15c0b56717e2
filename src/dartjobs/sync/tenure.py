"""One tenure of a cluster's lease: hints and wake-ups first, then the clock, then what the cluster holds."""

import asyncio
import logging
import time
from datetime import datetime, timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.bus.base import Subscription
from dartjobs.core.policy import Policy
from dartjobs.drivers.base import DriverError, Held, TemporaryDriverError
from dartjobs.models.problem import UnavailableError
from dartjobs.store import placement, polls
from dartjobs.store.database import StaleError
from dartjobs.store.wakeups import Wakeup
from dartjobs.sync.acts import Actor
from dartjobs.sync.agenda import Agenda
from dartjobs.sync.claims import Claims
from dartjobs.sync.ledger import Ledger
from dartjobs.sync.reconcile import Reconciler
from dartjobs.sync.settings import SyncSettings
from dartjobs.sync.survey import Survey
from dartjobs.sync.sweep import Sweeper

_log = logging.getLogger(__name__)
_AFTER_A_FAULT = timedelta(seconds=30)
_AFTER_A_BREAK = timedelta(seconds=1)
_INVENTORY_SECONDS = 30.0


class Tenure:
    """Reconciles the cluster with the database until the lease is lost."""

    def __init__(self, actor: Actor, ledger: Ledger, claims: Claims, settings: SyncSettings, policy: Policy) -> None:
        self._actor = actor
        self._ledger = ledger
        self._claims = claims
        self._watch = claims.watch
        self._settings = settings
        self._policy = policy
        self._cluster = actor.lease.name
        self._database = actor.platform.database
        self._agenda = Agenda()
        self._survey = Survey()
        self._sweeper = Sweeper(actor, settings.sweep_grace)
        self._reconciler = Reconciler(actor, policy, ledger, settings.concurrency)
        self._news = asyncio.Event()
        self._gateway: tuple[datetime | None, float] = None, time.monotonic()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ExceptionGroup: of StaleError, when the lease was lost; of UnavailableError, when the database was away.
        """
        topic = topics.cluster_topic(self._cluster)
        with self._actor.platform.bus.subscribe(topic, topics.QUEUE) as hints:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ledger.run())
                tasks.create_task(self._listen(hints))
                await self._look_at_everything()
                tasks.create_task(self._watch_cluster())
                await self._serve(tasks, hints)

    async def _serve(self, tasks: asyncio.TaskGroup, hints: Subscription) -> None:
        poll_at = 0.0
        while True:
            if self._news.is_set() or time.monotonic() >= poll_at:
                self._news.clear()
                await self._poll(hints)
                poll_at = time.monotonic() + self._settings.poll.total_seconds()
            for attempt_id in self._agenda.take_due():
                tasks.create_task(self._look(attempt_id))
            await self._agenda.wait(poll_at - time.monotonic())

    async def _listen(self, hints: Subscription) -> None:
        while True:
            if await hints.wait(self._settings.full_pass.total_seconds()):
                self._news.set()
                self._agenda.changed.set()

    async def _poll(self, hints: Subscription) -> None:
        """All that may be new in the database: one statement while nothing is."""
        found = await self._database.read(partial(polls.poll, cluster=self._cluster))
        for wakeup in found.wakeups:
            self._agenda.add(wakeup.attempt_id, wakeup)
        if found.may_claim:
            await self._claims.claim(self._agenda.add)
        if found.wakeups or found.may_claim:
            hints.found()
        await self._notice_gateway(found.gateway_seen_at)

    async def _notice_gateway(self, seen_at: datetime | None) -> None:
        """A gateway that has fallen silent cannot say whose runner has: Ray is asked about all of them."""
        before, since = self._gateway
        if seen_at != before:
            self._gateway = seen_at, time.monotonic()
        elif time.monotonic() - since > self._policy.heartbeat_silence.total_seconds():
            self._gateway = seen_at, float("inf")
            for attempt_id in await self._database.read(partial(placement.running_ids, cluster=self._cluster)):
                self._agenda.add(attempt_id)

    async def _watch_cluster(self) -> None:
        """Look at what changed in the cluster, in bulk; every so often, at what else may have been missed."""
        full_pass_at = time.monotonic() + self._settings.full_pass.total_seconds()
        while True:
            await asyncio.sleep(self._settings.survey.total_seconds())
            if time.monotonic() >= full_pass_at:
                await self._look_at_everything()
                full_pass_at = time.monotonic() + self._settings.full_pass.total_seconds()
            else:
                await self._inventory()

    async def _inventory(self) -> list[Held]:
        try:
            async with asyncio.timeout(_INVENTORY_SECONDS):
                held = await self._actor.driver.inventory()
        except (DriverError, TimeoutError) as error:
            _log.warning("what cluster %s holds cannot be seen: %s", self._cluster, error)
            self._watch.lists(answers=False)
            return []
        self._watch.lists(answers=True)
        for attempt_id in self._survey.changed(held):
            self._agenda.add(attempt_id)
        return held

    async def _look_at_everything(self) -> None:
        """See that every live attempt is on the agenda, and that what is held belongs to one.

        What is held is read first, so that what was claimed in between is no orphan.
        """
        held = await self._inventory()
        live = set(await self._database.read(partial(placement.live_ids, cluster=self._cluster)))
        for attempt_id in live:
            self._agenda.ensure(attempt_id)
        try:
            await self._sweeper.sweep([one for one in held if one.attempt_id not in live])
        except DriverError as error:
            _log.error("orphans could not be swept: %s", error)
        except (StaleError, UnavailableError):
            raise
        except Exception:  # noqa: BLE001 - what cannot be swept must not stop the jobs
            _log.exception("orphans could not be swept: this is a fault of the platform")

    async def _look(self, attempt_id: str) -> None:
        wakeup = self._agenda.wakeup_of(attempt_id)
        after = await self._look_safely(attempt_id)
        if wakeup is not None:
            self._agenda.answered(wakeup)
            self._ledger.answer(wakeup).add_done_callback(partial(self._forget, wakeup))
        self._agenda.done(attempt_id, after)

    def _forget(self, wakeup: Wakeup, deleted: "asyncio.Future[None]") -> None:
        if not deleted.cancelled() and deleted.exception() is not None:
            _log.warning("the wake-up of %s stays: %s", wakeup.attempt_id, deleted.exception())
        self._agenda.forget(wakeup)

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
