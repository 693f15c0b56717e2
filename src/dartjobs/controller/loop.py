"""The controller's loop: stops, timeouts and impossible wishes of queued jobs."""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.controller.packages import sweep_packages
from dartjobs.controller.settings import ControllerSettings
from dartjobs.core.decide import decide
from dartjobs.core.policy import Policy
from dartjobs.core.queueing import ClusterView, never_fits
from dartjobs.core.world import Move, Observation, View, Wait
from dartjobs.models.problem import UnavailableError
from dartjobs.models.state import ResourceState
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, leases
from dartjobs.store.database import StaleError, now
from dartjobs.store.leases import Lease

_log = logging.getLogger(__name__)
LEASE = "controller"
_LET_GO_SECONDS = 2.0
_AFTER_A_FAULT = timedelta(seconds=30)


class Controller:
    """Ends queued attempts where they stand; never touches one that a cluster has claimed."""

    def __init__(self, platform: Platform, settings: ControllerSettings, holder: str) -> None:
        self._platform = platform
        self._settings = settings
        self._holder = holder
        self._policy = Policy()
        self._quiet_until: dict[str, datetime] = {}

    async def run(self) -> None:
        """Serve until cancelled; every pass holds the lease anew."""
        sweeping = asyncio.create_task(sweep_packages(self._platform, self._settings))
        try:
            await self._serve()
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)

    async def _serve(self) -> None:
        poll = self._settings.poll.total_seconds()
        with self._platform.bus.subscribe(topics.QUEUE) as hints:
            while True:
                try:
                    await self._pass()
                except (StaleError, UnavailableError) as error:
                    _log.warning("the pass is to be done again: %s", error)
                await hints.wait(poll)

    async def _pass(self) -> None:
        queued = await self._platform.database.read(attempts.queued_ids)
        waiting = set(queued)
        self._quiet_until = {one: until for one, until in self._quiet_until.items() if one in waiting}
        at = await self._platform.database.read(now)
        due = {one for one in queued if self._quiet_until.get(one, at) <= at}
        due |= set(await self._platform.database.read(attempts.stop_wanted_ids))
        if not due:
            return
        acquire = partial(leases.acquire, name=LEASE, holder=self._holder, duration=self._settings.lease)
        lease = await self._platform.database.write(acquire)
        if lease is None:
            return
        views = await self._platform.database.read(clusters.views)
        for attempt_id in sorted(due):
            try:
                await self._look(lease, attempt_id, views)
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001 - one malformed row must not stop the others; it is looked at again
                _log.exception("%s is quarantined: this is a fault of the platform", attempt_id)
                self._quiet_until[attempt_id] = at + _AFTER_A_FAULT

    async def _look(self, lease: Lease, attempt_id: str, views: list[ClusterView]) -> None:
        loaded = await self._platform.database.read(partial(attempts.load, attempt_id=attempt_id))
        if loaded is None or loaded.attempt.resource_state is not ResourceState.QUEUED:
            return
        view = View(
            attempt=loaded.attempt,
            spec=loaded.spec,
            submitted_at=loaded.submitted_at,
            now=loaded.now,
            observation=Observation(),
            stop=loaded.stop,
            impossible=never_fits(loaded.spec, views),
        )
        decision = decide(view, self._policy)
        if isinstance(decision, Wait):
            self._quiet_until[attempt_id] = decision.until
        elif isinstance(decision, Move):
            await self._record(lease, view, decision)

    async def _record(self, lease: Lease, view: View, move: Move) -> None:
        record = partial(attempts.record_move, lease=lease, view=view, move=move, actor="controller")
        try:
            await self._platform.database.write(record)
        except StaleError:
            return
        _log.info("%s: %s -> %s (%s)", view.attempt.id, view.attempt.pair, move.target, move.reason)
        await self._platform.bus.publish(topics.job_topic(view.attempt.job_id))
        await self._platform.bus.publish(topics.log_topic(view.attempt.id))
