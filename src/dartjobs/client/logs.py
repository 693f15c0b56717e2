"""Reading logs: in one go, or following them over lost connections, restarted servers and retries of the job."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from dartjobs.client.effects import Call, Emit, Lost, Open, Read, Reply, Sleep, Stream
from dartjobs.client.errors import body_of
from dartjobs.client.patience import Outage, Patience, checked, is_setback, send
from dartjobs.client.requests import Requests

_EMPTY_PAUSE = 0.5
"""Seconds between two follows that brought nothing, so that a server which ends them at once is not flooded."""
_ATTEMPT_PAUSE, _LONGEST_ATTEMPT_PAUSE = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come."""

    attempt: int | None = None
    """None: the latest, whichever it is when the server answers."""
    start: int = 0
    """The offset of the next byte wanted."""
    stop: int | None = None
    """The offset after the last byte wanted; None: all."""
    tail: int | None = None
    """Lines. Only until the server has said where they begin."""

    @property
    def span(self) -> str | None:
        """The value of a `Range` header; None for the whole."""
        if self.tail is not None or (self.start == 0 and self.stop is None):
            return None
        return f"{self.start}-" if self.stop is None else f"{self.start}-{self.stop - 1}"

    def begun(self, reply: Reply) -> "Place":
        """With what the headers of a response settle."""
        attempt = reply.headers.get("dartjobs-log-attempt")
        start = self.start if self.tail is None else int(reply.headers.get("dartjobs-log-offset", "0"))
        return replace(self, attempt=self.attempt if attempt is None else int(attempt), start=start, tail=None)


def read_log(requests: Requests, patience: Patience, job_id: str, place: Place) -> Stream[bytes, None]:
    """What is stored of one log. A broken response is resumed where it broke.

    Raises:
        ConnectionFailedError, DartJobsError: it cannot be read to its end.
    """
    outage = Outage(patience)
    resumed = False
    while place.stop is None or place.start < place.stop:
        request = requests.log(job_id, attempt=place.attempt, tail=place.tail, span=place.span)
        answer: Lost | Reply = yield Open(request)
        if is_setback(answer):
            yield from outage.pause(answer)
            continue
        if resumed and isinstance(answer, Reply) and answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        place, end = yield from _copy(checked(answer, patience), place, outage)
        if end is None:
            return
        resumed = True
        yield from outage.pause(end)


def follow_log(
    requests: Requests,
    patience: Patience,
    job_id: str,
    place: Place,
    on_attempt: Callable[[int], object] | None = None,
) -> Stream[bytes, None]:
    """Each byte of each attempt once, from `place` on, until the job is finished and its log complete.

    Raises:
        ConnectionFailedError: no success for as long as `patience` allows.
        DartJobsError: the server's own, such as that there is no such job.
    """
    outage = Outage(patience)
    while True:
        place = yield from _follow_attempt(requests, patience, job_id, place, outage)
        number = yield from _next_attempt(requests, patience, job_id, place.attempt or 1, outage)
        if number is None:
            return
        if on_attempt is not None:
            on_attempt(number)
        place = Place(attempt=number)


def _follow_attempt(
    requests: Requests, patience: Patience, job_id: str, place: Place, outage: Outage
) -> Stream[bytes, Place]:
    """Until a response that began as complete has ended cleanly: nothing will ever be added then."""
    while True:
        request = requests.log(job_id, attempt=place.attempt, tail=place.tail, span=place.span, follow=True)
        answer: Lost | Reply = yield Open(request)
        if is_setback(answer):
            yield from outage.pause(answer)
            continue
        reply = checked(answer, patience)
        before = place
        place, end = yield from _copy(reply, place, outage)
        if end is not None:
            yield from outage.pause(end)
        elif reply.headers.get("dartjobs-log-complete") == "true":
            return place
        elif place.start == before.start:
            yield Sleep(_EMPTY_PAUSE)


def _copy(reply: Reply, place: Place, outage: Outage) -> Stream[bytes, tuple[Place, Lost | None]]:
    """Emit a response's bytes; answer the place then reached, and None where it ended cleanly."""
    outage.over()
    place = place.begun(reply)
    known = place.start - int(reply.headers.get("dartjobs-log-offset", place.start))
    while isinstance(piece := (yield Read()), bytes):
        fresh, known = piece[max(0, known) :], max(0, known - len(piece))
        if fresh:
            yield Emit(fresh)
            place = replace(place, start=place.start + len(fresh))
    return place, piece


def _next_attempt(requests: Requests, patience: Patience, job_id: str, number: int, outage: Outage) -> Call[int | None]:
    """The attempt after this one, None once there will be none. The log may be complete before either is recorded."""
    pause = _ATTEMPT_PAUSE
    while True:
        reply = yield from send(requests.get(job_id), patience, outage)
        job = body_of(reply, patience.url)
        if job["attempt"]["number"] > number:
            return number + 1
        if job["finished_at"] is not None:
            return None
        yield Sleep(pause)
        pause = min(pause * 1.5, _LONGEST_ATTEMPT_PAUSE)
