"""Attempts on clusters that were declared lost."""

import logging
from functools import partial

from dartjobs.controller.recording import announce
from dartjobs.core.lost import decide_lost
from dartjobs.core.world import UNREACHABLE
from dartjobs.models.problem import UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, lost
from dartjobs.store.attempts import Recorded
from dartjobs.store.database import StaleError
from dartjobs.store.leases import Lease

_log = logging.getLogger(__name__)
ACTOR = "controller"


class Lost:
    """Ends them, so that the retry policy can give their jobs another cluster."""

    def __init__(self, platform: Platform, lease: Lease) -> None:
        self._platform = platform
        self._lease = lease
        self._broken: set[str] = set()

    async def look(self) -> int:
        """End every attempt that lives on a lost cluster; answers how many there were.

        Raises:
            UnavailableError: the database is away.
        """
        ids = await self._platform.database.read(lost.ids_on_lost_clusters)
        self._broken &= set(ids)
        for attempt_id in ids:
            try:
                await self._end(attempt_id)
            except StaleError:
                continue
            except UnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - one malformed row must not stop the others
                if attempt_id not in self._broken:
                    _log.error("%s is quarantined: this is a fault of the platform", attempt_id, exc_info=error)
                self._broken.add(attempt_id)
        return len(ids)

    async def _end(self, attempt_id: str) -> None:
        database = self._platform.database
        loaded = await database.read(partial(attempts.load, attempt_id=attempt_id))
        if loaded is None:
            return
        view = loaded.view(UNREACHABLE)
        move = decide_lost(view)
        await database.write(partial(lost.record_lost, lease=self._lease, view=view, move=move, actor=ACTOR))
        await announce(self._platform, Recorded(view, move))
