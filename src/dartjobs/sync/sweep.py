"""Orphans: what the cluster holds and no live attempt accounts for."""

import logging
from functools import partial

from dartjobs.store import attempts
from dartjobs.store.sweeps import may_sweep
from dartjobs.sync.acts import Actor

_log = logging.getLogger(__name__)
MOST_AT_ONCE = 5
"""More orphans than this at once look like a restored database, not like a crash: report, never sweep."""


async def sweep(actor: Actor, live: set[str]) -> None:
    """Delete what belongs to attempts that are over; leave and report what belongs to attempts that nobody knows."""
    orphans = [held for held in await actor.driver.inventory() if held.attempt_id not in live]
    if len(orphans) > MOST_AT_ONCE:
        _log.error("%d orphans at once are quarantined, not swept: %s", len(orphans), [o.attempt_id for o in orphans])
        return
    for held in orphans:
        record = partial(may_sweep, lease=actor.lease, attempt_id=held.attempt_id, cluster_uid=held.cluster_uid)
        allowed = await actor.platform.database.write(record)
        loaded = await actor.platform.database.read(partial(attempts.load, attempt_id=held.attempt_id))
        if allowed and loaded is not None:
            _log.warning("sweeping what is left of %s", held.attempt_id)
            await actor.driver.delete(loaded.attempt)
        elif loaded is None:
            _log.error("%s is held by the cluster and unknown to the database: quarantined", held.attempt_id)
