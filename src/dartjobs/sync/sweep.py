"""Orphans: what the cluster holds and no live attempt accounts for."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from dartjobs.drivers.base import Held
from dartjobs.store import attempts
from dartjobs.store.sweeps import may_sweep, sweepable
from dartjobs.sync.acts import Actor

_log = logging.getLogger(__name__)
MOST_AT_ONCE = 5
"""More orphans than this at once look like a restored database, not like a crash: report, never sweep."""


class Sweeper:
    """Deletes what belongs to attempts that are over; leaves and reports what nobody knows, and any large number."""

    def __init__(self, actor: Actor, grace: timedelta) -> None:
        self._actor = actor
        self._grace = grace
        self._reported: set[str] = set()

    async def sweep(self, orphans: Sequence[Held]) -> None:
        """Sweep these.

        Args:
            orphans: held by the cluster, and not live by a list that was read after the cluster's.

        Raises:
            DriverError: the cluster did not do it.
            StaleError: the lease is no longer ours.
        """
        ids = [held.attempt_id for held in orphans]
        self._reported.intersection_update(ids)
        if not ids:
            return
        look = partial(sweepable, cluster=self._actor.lease.name, attempt_ids=ids, grace=self._grace)
        over = await self._actor.platform.database.read(look)
        self._quarantine([one for one in ids if one not in over], "the database knows no such attempt of this cluster")
        left = [held for held in orphans if over.get(held.attempt_id)]
        if len(left) > MOST_AT_ONCE:
            self._quarantine([held.attempt_id for held in left], "so many orphans at once")
            return
        for held in left:
            await self._sweep(held)

    async def _sweep(self, held: Held) -> None:
        database, lease = self._actor.platform.database, self._actor.lease
        ask = partial(may_sweep, lease=lease, attempt_id=held.attempt_id, cluster_uid=held.cluster_uid)
        allowed = await database.write(partial(ask, grace=self._grace))
        loaded = await database.read(partial(attempts.load, attempt_id=held.attempt_id)) if allowed else None
        if loaded is not None:
            _log.warning("sweeping what is left of %s", held.attempt_id)
            await self._actor.driver.delete(loaded.attempt, cluster_uid=held.cluster_uid)

    def _quarantine(self, attempt_ids: list[str], why: str) -> None:
        news = [one for one in attempt_ids if one not in self._reported]
        self._reported.update(news)
        if news:
            _log.error("quarantined, not swept (%s): %s", why, ", ".join(news))
