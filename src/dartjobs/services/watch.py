"""Watch a job: its moves and its state, as they come, resumable after any of them."""

from collections.abc import AsyncIterator
from enum import StrEnum

from dartjobs.bus import base as topics
from dartjobs.models.job import Job, Transition
from dartjobs.services import jobs as job_service
from dartjobs.services.platform import Platform

_POLL_SECONDS = 1.0


class Until(StrEnum):
    """When a watch ends."""

    FINISHED = "finished"
    """The job has its outcome and no retry will follow."""
    TERMINATED = "terminated"
    """And nothing of it is left in any cluster."""


async def watch(
    platform: Platform, namespace: str, job_id: str, after: tuple[int, int], until: Until
) -> AsyncIterator[Transition | Job | None]:
    """Moves after (attempt number, version), then the job; again at each change. None: nothing happened for a second.

    Raises:
        NotFoundError: this namespace has no such job.
    """
    shown: Job | None = None
    seen = _up_to(await job_service.history(platform, namespace, job_id), after)
    with platform.bus.subscribe(topics.job_topic(job_id)) as hints:
        while True:
            for move in await job_service.history(platform, namespace, job_id):
                if (move.attempt, move.version) not in seen:
                    seen.add((move.attempt, move.version))
                    yield move
            job = await job_service.get(platform, namespace, job_id)
            if job != shown and (job.attempt.number, job.attempt.version) in seen:
                shown = job
                yield job
                if _is_over(job, until):
                    return
            if not await hints.wait(_POLL_SECONDS):
                yield None


def _up_to(moves: list[Transition], last: tuple[int, int]) -> set[tuple[int, int]]:
    """Those that a watcher which saw `last` has seen: an earlier attempt is cleaned up while the next one begins."""
    ends = [move.at for move in moves if (move.attempt, move.version) == last]
    end = ends[0] if ends else None
    return {
        (move.attempt, move.version)
        for move in moves
        if end is not None and (move.at, move.attempt, move.version) <= (end, *last)
    }


def _is_over(job: Job, until: Until) -> bool:
    if until is Until.FINISHED:
        return job.finished_at is not None
    return job.finished_at is not None and job.attempt.terminated_at is not None
