"""What the gateway does with a report: bytes to the object store, evidence to the database."""

import time
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.gateway.hearing import Hearing
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.store import evidence


class Reports:
    """Takes the reports of every attempt of one cluster."""

    def __init__(self, platform: Platform, settings: GatewaySettings, hearing: Hearing) -> None:
        self._platform = platform
        self._settings = settings
        self._hearing = hearing
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
        """Record the driver's start; False when another runner has already started this attempt, or it is over."""
        mine: dict[str, object] = {"head_uid": head_uid, "pid": pid}
        stands = await self._record(attempt_id, {"start": mine})
        self._hearing.heard(attempt_id)
        return stands["start"] == mine

    async def exit(self, attempt_id: str, body: dict[str, object]) -> None:
        """Record the driver's end and that its log is complete."""
        await self._record(attempt_id, {"log_end": {"bytes": body["log_end"]}, "exit": body})
        self._hearing.forget(attempt_id)
        self._accepted.pop(attempt_id, None)
        await self._platform.bus.publish(topics.log_topic(attempt_id))

    async def push(self, attempt_id: str, offset: int, data: bytes) -> int:
        """Store log bytes; answers the stored end, from which the runner goes on."""
        self._hearing.heard(attempt_id)
        end = await self._platform.logs.append(attempt_id, STREAM, offset, data)
        await self._platform.bus.publish(topics.log_topic(attempt_id))
        return end

    def heartbeat(self, attempt_id: str) -> None:
        """Remember that the runner lives."""
        self._hearing.heard(attempt_id)

    async def _record(self, attempt_id: str, reports: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
        record = partial(evidence.record_reports, attempt_id=attempt_id, reports=reports)
        stands, cluster = await self._platform.database.write(record)
        if cluster is not None:
            await self._platform.bus.publish(topics.cluster_topic(cluster))
        return stands
