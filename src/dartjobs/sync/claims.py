"""Claim queued attempts while there is room."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.choosing import choose
from dartjobs.core.queueing import Queued
from dartjobs.services.isolation import isolated
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, placement
from dartjobs.store.leases import Lease
from dartjobs.store.placement import Place
from dartjobs.sync.lease import ClusterWatch
from dartjobs.sync.room import Room

_log = logging.getLogger(__name__)
_AT_ONCE = 500
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

    async def claim(self, tell: Callable[[str], None]) -> None:
        """Claim until nothing more fits, page by page of the queue; `tell` is given each attempt that was taken.

        Raises:
            StaleError: the lease is lost.
            UnavailableError: the database is away.
        """
        place: Place | None = None
        while self.watch.is_fresh and self.watch.registration is not None:
            seen = self._room.view(self.watch.registration)
            read = partial(placement.waiting, seen=seen, limit=_AT_ONCE, after=place)
            waiting = await self._platform.database.read(read)
            queue = [one for one in waiting.queue if self._is_well(one.attempt_id)]
            for one in await self._take(choose(queue, waiting.cluster, waiting.others, waiting.at)):
                self._room.promise(one.attempt_id, one.need)
                tell(one.attempt_id)
                await self._platform.bus.publish(topics.job_topic(one.attempt_id.rpartition("-")[0]))
            place = waiting.more
            if place is None:
                return

    async def _take(self, chosen: Sequence[Queued]) -> list[Queued]:
        results = await isolated(self._claim, chosen) if chosen else []
        for one, result in zip(chosen, results, strict=True):
            if isinstance(result, Exception):
                _log.error("%s is quarantined: this is a fault of the platform", one.attempt_id, exc_info=result)
                self._quarantined[one.attempt_id] = time.monotonic()
        return [one for one, result in zip(chosen, results, strict=True) if result is True]

    async def _claim(self, chosen: Sequence[Queued]) -> list[bool]:
        ids = [one.attempt_id for one in chosen]
        claim = partial(attempts.claim_many, lease=self._lease, attempt_ids=ids, actor=self._actor)
        taken = set(await self._platform.database.write(claim))
        return [one in taken for one in ids]

    def _is_well(self, attempt_id: str) -> bool:
        since = self._quarantined.get(attempt_id)
        if since is not None and time.monotonic() - since > _AFTER_A_FAULT:
            del self._quarantined[attempt_id]
            return True
        return since is None
