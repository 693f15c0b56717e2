"""An attempt's log: a range, its tail, or what comes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from dartjobs.models.problem import NotFoundError, RangeError
from dartjobs.services import jobs as job_service
from dartjobs.services.platform import Platform
from dartjobs.services.tails import STREAM
from dartjobs.store.jobs import attempt_id as attempt_id_of

__all__ = ["STREAM", "LogBody", "LogQuery", "open_log"]


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What of a log is asked for; a range as RFC 9110 has it, in bytes."""

    attempt: int | None = None
    start: int | None = None
    stop: int | None = None
    """Exclusive."""
    suffix: int | None = None
    """The last so many bytes."""
    tail: int | None = None
    """The last so many lines."""
    follow: bool = False


@dataclass(frozen=True, slots=True)
class LogBody:
    """A log, or a part of it."""

    attempt: int
    start: int
    stop: int | None
    """Exclusive; None while following."""
    end: int
    """The whole log's length when this was opened."""
    complete: bool
    """Nothing would ever be added when this was opened."""
    chunks: AsyncIterator[bytes]


async def open_log(platform: Platform, namespace: str, job_id: str, query: LogQuery) -> LogBody:
    """Open a job's log for reading.

    Raises:
        NotFoundError: no such job or attempt in this namespace.
        RangeError: the range begins beyond the end, and the log is not followed.
    """
    job = await job_service.get(platform, namespace, job_id)
    number = query.attempt or job.attempt.number
    attempt_id = attempt_id_of(job_id, number)
    complete = await platform.tails.is_complete(attempt_id)
    if complete is None:
        msg = f"Job {job_id} has no attempt {number}; its latest is {job.attempt.number}."
        raise NotFoundError(msg)
    end = await platform.logs.end(attempt_id, STREAM)
    start = await _start(platform, attempt_id, query, end)
    if query.follow:
        return LogBody(number, start, None, end, complete, platform.tails.follow(attempt_id, start))
    stop = end if query.stop is None else min(query.stop, end)
    if query.start is not None and start >= end:
        msg = f"The log has {end} bytes; the range begins at {start}."
        raise RangeError(msg)
    return LogBody(number, start, stop, end, complete, platform.logs.read(attempt_id, STREAM, start, stop))


async def _start(platform: Platform, attempt_id: str, query: LogQuery, end: int) -> int:
    if query.tail is not None:
        return await platform.logs.tail_offset(attempt_id, STREAM, query.tail)
    if query.suffix is not None:
        return max(0, end - query.suffix)
    return query.start or 0
