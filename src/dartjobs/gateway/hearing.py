"""Whose runner is heard. Heartbeats stay in memory; only a silence, and its end, are written."""

import asyncio
import logging
import time
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.problem import DartJobsError
from dartjobs.services.platform import Platform
from dartjobs.store import evidence

_log = logging.getLogger(__name__)


class Hearing:
    """Listens to the runners of one cluster, and says every few seconds that it does."""

    def __init__(self, platform: Platform, settings: GatewaySettings) -> None:
        self._platform = platform
        self._settings = settings
        self._heard: dict[str, float] = {}
        """When each runner was last heard here, or began to be expected, by the monotonic clock, oldest first."""
        self._silent: set[str] = set()
        """Those whose silence was written when last read: others that hear the same cluster write too."""
        self._read_at = float("-inf")

    def heard(self, attempt_id: str) -> None:
        """Its runner has just been heard."""
        self._heard.pop(attempt_id, None)
        self._heard[attempt_id] = time.monotonic()

    def forget(self, attempt_id: str) -> None:
        """Its runner has reported its end."""
        self._heard.pop(attempt_id, None)
        self._silent.discard(attempt_id)

    async def listen(self) -> None:
        """Listen until cancelled."""
        period, before = self._settings.listen_seconds, float("-inf")
        while True:
            now = time.monotonic()
            try:
                if now - before > 2 * period:
                    await self._begin()
                await self._turn()
                before = now
            except DartJobsError as error:
                _log.warning("who is heard was not written: %s", error)
            except Exception:  # noqa: BLE001 - a fault here must not make every runner count as silent
                _log.exception("who is heard was not written: this is a fault of the platform")
            await asyncio.sleep(period)

    async def _begin(self) -> None:
        """After a time in which nothing was heard here: expect everybody, and give each the whole time anew."""
        database, cluster = self._platform.database, self._settings.cluster
        running = await database.read(partial(evidence.expected, cluster=cluster))
        self._silent = set(await database.read(partial(evidence.silent, cluster=cluster)))
        self._heard = dict.fromkeys({*running, *self._heard} - self._silent, time.monotonic())

    async def _turn(self) -> None:
        database, cluster = self._platform.database, self._settings.cluster
        await database.write(partial(evidence.listens, cluster=cluster))
        if self._silent or time.monotonic() >= self._read_at:
            await self._end_silences()
        quiet = self._quiet()
        if quiet:
            record = partial(evidence.record_silence, cluster=cluster, attempt_ids=list(quiet))
            self._silent.update(await database.write(record))
            for one, at in quiet.items():
                if self._heard.get(one) == at:
                    del self._heard[one]
            await self._platform.bus.publish(topics.cluster_topic(cluster))

    async def _end_silences(self) -> None:
        """Of those that are heard here, whoever wrote that they are not."""
        database = self._platform.database
        self._silent = set(await database.read(partial(evidence.silent, cluster=self._settings.cluster)))
        self._read_at = time.monotonic() + self._settings.silence_seconds
        back = sorted(self._silent & self._heard.keys())
        if back:
            await database.write(partial(evidence.end_silence, attempt_ids=back))
            self._silent.difference_update(back)

    def _quiet(self) -> dict[str, float]:
        limit, quiet = time.monotonic() - self._settings.silence_seconds, {}
        for one, at in self._heard.items():
            if at > limit:
                break
            quiet[one] = at
        return quiet
