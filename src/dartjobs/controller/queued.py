"""Stops, timeouts and impossible wishes of queued attempts."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from dartjobs.controller.recording import announce
from dartjobs.core.decide import decide
from dartjobs.core.policy import Policy
from dartjobs.core.queueing import ClusterView, never_fits
from dartjobs.core.world import Move, Observation, Wait
from dartjobs.models.state import ResourceState
from dartjobs.services.isolation import isolated
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, due
from dartjobs.store.attempts import Recorded
from dartjobs.store.database import StaleError
from dartjobs.store.leases import Lease
from dartjobs.store.loading import Loaded, MalformedRowError

_log = logging.getLogger(__name__)
ACTOR = "controller"
_AFTER_A_FAULT = timedelta(seconds=30)


class Queue:
    """Ends queued attempts where they stand; never touches one that a cluster has claimed."""

    def __init__(self, platform: Platform, lease: Lease) -> None:
        self._platform = platform
        self._lease = lease
        self._policy = Policy()

    async def look(self) -> int:
        """Look at every queued attempt that is due; answers how many were.

        Raises:
            StaleError: the lease is lost.
            UnavailableError: the database is away.
        """
        database = self._platform.database
        ids = await database.read(due.due_ids)
        if not ids:
            return 0
        views = await database.read(clusters.views)
        found = await database.read(partial(attempts.load_many, attempt_ids=ids))
        moves: list[Recorded] = []
        later: dict[str, tuple[datetime | None, datetime]] = {}
        broken: list[str] = []
        for attempt_id, loaded in found.items():
            try:
                self._decide(loaded, views, moves, later)
            except Exception:  # noqa: BLE001 - one malformed row must not stop the others; it is looked at again
                _log.exception("%s is quarantined: this is a fault of the platform", attempt_id)
                broken.append(attempt_id)
        await self._record(moves, later, broken)
        return len(ids)

    def _decide(
        self,
        loaded: Loaded | MalformedRowError,
        views: list[ClusterView],
        moves: list[Recorded],
        later: dict[str, tuple[datetime | None, datetime]],
    ) -> None:
        if isinstance(loaded, MalformedRowError):
            raise loaded
        if loaded.attempt.resource_state is not ResourceState.QUEUED:
            return
        impossible = None if loaded.malformed else never_fits(loaded.spec, views)
        view = replace(loaded.view(Observation()), impossible=impossible)
        match decide(view, self._policy):
            case Move() as move:
                moves.append(Recorded(view, move))
            case Wait(until):
                later[loaded.attempt.id] = loaded.due_at, until
            case _:
                raise AssertionError

    async def _record(
        self, moves: list[Recorded], later: dict[str, tuple[datetime | None, datetime]], broken: list[str]
    ) -> None:
        database = self._platform.database
        if later:
            await database.write(partial(due.set_due, looks=later))
        if broken:
            await database.write(partial(due.put_off, attempt_ids=broken, after=_AFTER_A_FAULT))
        if moves:
            for one, error in zip(moves, await isolated(self._write, moves), strict=True):
                if error is None:
                    await announce(self._platform, one)
                elif not isinstance(error, StaleError):
                    _log.error("%s is quarantined: this is a fault of the platform", one.attempt.id, exc_info=error)
                    await database.write(partial(due.put_off, attempt_ids=[one.attempt.id], after=_AFTER_A_FAULT))

    async def _write(self, moves: Sequence[Recorded]) -> Sequence[Exception | None]:
        record = partial(attempts.record_changes, lease=self._lease, changes=moves, actor=ACTOR)
        return await self._platform.database.write(record)
