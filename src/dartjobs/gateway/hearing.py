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
        """When each runner was last heard, by the monotonic clock, oldest first."""
        self._silent: set[str] = set()
        """Those whose silence is written."""
        self._back: set[str] = set()
        """Those of them that were heard again."""

    def heard(self, attempt_id: str) -> None:
        """Its runner has just been heard."""
        self._heard.pop(attempt_id, None)
        self._heard[attempt_id] = time.monotonic()
        if attempt_id in self._silent:
            self._back.add(attempt_id)

    def forget(self, attempt_id: str) -> None:
        """Its runner has reported its end."""
        self._heard.pop(attempt_id, None)
        self._silent.discard(attempt_id)
        self._back.discard(attempt_id)

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
        read = partial(evidence.expected, cluster=self._settings.cluster)
        running, silent = await self._platform.database.read(read)
        now = time.monotonic()
        self._heard = dict.fromkeys([*running, *self._heard], now)
        self._silent |= set(silent)

    async def _turn(self) -> None:
        database, cluster = self._platform.database, self._settings.cluster
        await database.write(partial(evidence.listens, cluster=cluster))
        back = sorted(self._back)
        if back:
            await database.write(partial(evidence.end_silence, attempt_ids=back))
            self._silent.difference_update(back)
            self._back.difference_update(back)
        quiet = self._quiet()
        if quiet:
            record = partial(evidence.record_silence, cluster=cluster, attempt_ids=quiet)
            silent = await database.write(record)
            for one in quiet:
                self._heard.pop(one, None)
            self._silent.update(silent)
            await self._platform.bus.publish(topics.cluster_topic(cluster))

    def _quiet(self) -> list[str]:
        limit, quiet = time.monotonic() - self._settings.silence_seconds, []
        for one, at in self._heard.items():
            if at > limit:
                break
            quiet.append(one)
        return quiet
