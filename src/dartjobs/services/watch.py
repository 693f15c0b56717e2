"""Watch a job: its moves and its state, as they come, resumable after any of them.

What a watcher has seen is a version for each attempt: an earlier attempt is cleaned up while the next one runs, so
their moves come in no common order, while each attempt's own come in the order of its versions.
"""

import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from dartjobs.bus import base as topics
from dartjobs.bus.base import Bus
from dartjobs.core.explain import why_not_running
from dartjobs.models.job import Job, Transition
from dartjobs.models.problem import InvalidRequestError, UnavailableError
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services.absent import absent_job
from dartjobs.services.shared import Feed, Hub
from dartjobs.store import clusters, jobs
from dartjobs.store.database import Database

KEEP_ALIVE_SECONDS = 15.0
_POLL_SECONDS = 1.0
_EVENT_ID = re.compile(r"\d{1,9}\.\d{1,9}(,\d{1,9}\.\d{1,9}){0,1000}")
_ALL = 2**62
_log = logging.getLogger(__name__)


class Until(StrEnum):
    """When a watch ends."""

    FINISHED = "finished"
    """The job has its outcome and no retry will follow."""
    TERMINATED = "terminated"
    """And nothing of it is left in any cluster."""


class Moved(NamedTuple):
    """A move, and the id after which a watch resumes with the next one."""

    id: str
    move: Transition


class _Seen(NamedTuple):
    moves: Sequence[Transition]
    """By attempt and version."""
    job: Job


class Watches:
    """The jobs that are watched in this process: each is read once a change, whatever the number of watchers."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._hub: Hub[tuple[str, str], _Seen] = Hub(self._read)

    async def watch(
        self, namespace: str, job_id: str, last_event_id: str | None, until: Until
    ) -> AsyncIterator[Moved | Job | None]:
        """Moves that come after that id, then the job; again at each change. None: nothing happened for a while.

        Raises:
            NotFoundError: this namespace has no such job.
        """
        seen, shown = parse_event_id(last_event_id), None
        async with self._hub.listen((namespace, job_id)) as feed:
            serial = 0
            while True:
                if not await feed.changed(serial, KEEP_ALIVE_SECONDS) or feed.value is None:
                    yield None
                    continue
                serial, (moves, job) = feed.serial, feed.value
                for move in moves:
                    if move.version > _version_in(seen, move.attempt):
                        seen[move.attempt] = move.version
                        yield Moved(_event_id(seen, moves), move)
                if job != shown:
                    shown = job
                    yield job
                if _is_over(job, moves, until):
                    return

    async def _read(self, key: tuple[str, str], feed: Feed[_Seen]) -> None:
        namespace, job_id = key
        with self._bus.subscribe(topics.job_topic(job_id)) as hints:
            while True:
                try:
                    found = await self._look(namespace, job_id)
                except UnavailableError as error:
                    _log.warning("watched job %s is looked at again: %s", job_id, error)
                else:
                    if found != feed.value:
                        feed.publish(found)
                        hints.found()
                await hints.wait(_POLL_SECONDS)

    async def _look(self, namespace: str, job_id: str) -> _Seen:
        found = await self._database.read(partial(jobs.read_with_moves, namespace=namespace, job_id=job_id))
        if found is None:
            raise absent_job(namespace, job_id)
        job, moves = found
        views = await self._database.read(clusters.views) if job.job_state is JobState.WAITING else []
        return _Seen(moves, job.model_copy(update={"why": why_not_running(job, views)}))


def parse_event_id(text: str | None) -> dict[int, int]:
    """The version that was seen of each attempt that the id names.

    Raises:
        InvalidRequestError: it is none of ours.
    """
    if not text:
        return {}
    if not _EVENT_ID.fullmatch(text):
        msg = f"Last-Event-ID {text!r} is none of ours: they look like 1.4."
        raise InvalidRequestError(msg)
    pairs = (one.split(".") for one in text.split(","))
    return {int(attempt): int(version) for attempt, version in pairs}


def _version_in(seen: Mapping[int, int], attempt: int) -> int:
    """Earlier attempts that an id does not name were seen to their end."""
    known = seen.get(attempt)
    if known is not None:
        return known
    return _ALL if seen and attempt < max(seen) else 0


def _event_id(seen: Mapping[int, int], moves: Sequence[Transition]) -> str:
    """`attempt.version` of the latest attempt, then of the earlier ones that were not yet seen to be TERMINATED."""
    latest = max(seen)
    ended = {
        move.attempt
        for move in moves
        if move.resource_state is ResourceState.TERMINATED and move.version <= _version_in(seen, move.attempt)
    }
    open_ = [number for number in sorted(seen, reverse=True) if number != latest and number not in ended]
    return ",".join(f"{number}.{seen[number]}" for number in (latest, *open_))


def _is_over(job: Job, moves: Sequence[Transition], until: Until) -> bool:
    if until is Until.FINISHED or job.finished_at is None:
        return job.finished_at is not None
    terminated = sum(move.resource_state is ResourceState.TERMINATED for move in moves)
    return terminated == job.attempt.number
