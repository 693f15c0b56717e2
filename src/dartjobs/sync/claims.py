"""Claim queued attempts while there is room."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.queueing import choose
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, placement
from dartjobs.store.database import StaleError
from dartjobs.store.leases import Lease
from dartjobs.sync.lease import ClusterWatch
from dartjobs.sync.room import Room

_log = logging.getLogger(__name__)
_AT_ONCE = 200
_AFTER_A_FAULT = 30.0


class Claims:
    """Takes what fits, in the queue's order, many at a time; never without a fresh sight of the cluster."""

    def __init__(self, platform: Platform, lease: Lease, watch: ClusterWatch, room: Room, actor: str) -> None:
        self._platform = platform
        self._lease = lease
        self.watch = watch
        self._room = room
        self._actor = actor
        self._quarantined: dict[str, float] = {}

    async def claim(self, found: Callable[[str], None]) -> None:
        """Claim until nothing more fits; `found` is called with each attempt that was taken.

        Raises:
            StaleError: the lease is lost.
            UnavailableError: the database is away.
        """
        while self.watch.is_fresh and self.watch.registration is not None:
            view = self._room.view(self.watch.registration)
            if view.free.cpu <= 0 or view.free.memory <= 0:
                return
            read = partial(placement.queue, limit=_AT_ONCE, room=view.free)
            queued = [one for one in await self._platform.database.read(read) if self._is_well(one.attempt_id)]
            chosen = choose(queued, view)
            taken = set(await self._take([one.attempt_id for one in chosen]))
            for one in chosen:
                if one.attempt_id in taken:
                    self._room.promise(one.attempt_id, one.need)
                    found(one.attempt_id)
                    await self._platform.bus.publish(topics.job_topic(one.attempt_id.rpartition("-")[0]))
            if len(queued) < _AT_ONCE or not taken:
                return

    async def _take(self, attempt_ids: Sequence[str]) -> list[str]:
        if not attempt_ids:
            return []
        claim = partial(attempts.claim_many, lease=self._lease, attempt_ids=attempt_ids, actor=self._actor)
        try:
            return await self._platform.database.write(claim)
        except (StaleError, UnavailableError):
            raise
        except Exception:  # noqa: BLE001 - one malformed row must not stop the others
            if len(attempt_ids) > 1:
                return [taken for one in attempt_ids for taken in await self._take([one])]
            _log.exception("%s is quarantined: this is a fault of the platform", attempt_ids[0])
            self._quarantined[attempt_ids[0]] = time.monotonic()
            return []

    def _is_well(self, attempt_id: str) -> bool:
        since = self._quarantined.get(attempt_id)
        if since is not None and time.monotonic() - since > _AFTER_A_FAULT:
            del self._quarantined[attempt_id]
            return True
        return since is None
