"""What the gateway does with a report: bytes to the object store, evidence to the database."""

import asyncio
import logging
import time
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.problem import DartJobsError
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.store import evidence
from dartjobs.store.placement import cluster_of

_log = logging.getLogger(__name__)


class Reports:
    """Takes the reports of every attempt of one cluster."""

    def __init__(self, platform: Platform, settings: GatewaySettings) -> None:
        self._platform = platform
        self._settings = settings
        self._beats: set[str] = set()
        self._accepted: dict[str, float] = {}

    async def accepts(self, attempt_id: str) -> bool:
        """Whether this attempt may still report: it exists and is not TERMINATED."""
        now = time.monotonic()
        if now - self._accepted.get(attempt_id, -1e9) < self._settings.known_attempt_seconds:
            return True
        accepted = await self._platform.database.read(partial(evidence.accepts_reports, attempt_id=attempt_id))
        if accepted:
            self._accepted[attempt_id] = now
        else:
            self._accepted.pop(attempt_id, None)
            self._platform.logs.forget(attempt_id)
        return bool(accepted)

    async def start(self, attempt_id: str, head_uid: str, pid: int) -> bool:
        """Record the driver's start; False when another runner has already started this attempt."""
        mine = {"head_uid": head_uid, "pid": pid}
        return await self._report(attempt_id, "start", mine) == mine

    async def exit(self, attempt_id: str, body: dict[str, object]) -> None:
        """Record the driver's end and that its log is complete."""
        await self._report(attempt_id, "log_end", {"bytes": body["log_end"]})
        await self._report(attempt_id, "exit", body)
        await self._platform.bus.publish(topics.log_topic(attempt_id))

    async def push(self, attempt_id: str, offset: int, data: bytes) -> int:
        """Store log bytes; answers the stored end, from which the runner goes on."""
        self._beats.add(attempt_id)
        end = await self._platform.logs.append(attempt_id, STREAM, offset, data)
        await self._platform.bus.publish(topics.log_topic(attempt_id))
        return end

    def heartbeat(self, attempt_id: str) -> None:
        """Remember that the runner lives; written with others, later."""
        self._beats.add(attempt_id)

    async def flush_heartbeats(self) -> None:
        """Write heartbeats until cancelled."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_flush_seconds)
            beats, self._beats = sorted(self._beats), set()
            if not beats:
                continue
            try:
                await self._platform.database.write(partial(evidence.record_heartbeats, attempt_ids=beats))
            except DartJobsError as error:
                _log.warning("heartbeats of %d runners were not written: %s", len(beats), error)

    async def _report(self, attempt_id: str, kind: str, body: dict[str, object]) -> dict[str, object]:
        stands = await self._platform.database.write(
            partial(evidence.report, attempt_id=attempt_id, kind=kind, body=body)
        )
        cluster = await self._platform.database.read(partial(cluster_of, attempt_id=attempt_id))
        if cluster is not None:
            await self._platform.bus.publish(topics.cluster_topic(cluster))
        return stands
