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
    with platform.bus.subscribe(topics.job_topic(job_id)) as hints:
        while True:
            moves = await job_service.history(platform, namespace, job_id, after)
            for move in moves:
                after = (move.attempt, move.version)
                yield move
            job = await job_service.get(platform, namespace, job_id)
            if job != shown and (job.attempt.number, job.attempt.version) <= after:
                shown = job
                yield job
                if _is_over(job, until):
                    return
            if not await hints.wait(_POLL_SECONDS):
                yield None


def _is_over(job: Job, until: Until) -> bool:
    if until is Until.FINISHED:
        return job.finished_at is not None
    return job.finished_at is not None and job.attempt.terminated_at is not None
