"""Watching a job: every transition and every state, over lost connections, until it is over or the time is."""

import json
from collections.abc import Iterable
from typing import Literal

from dartjobs.client.effects import Emit, Json, Lost, Open, Read, Reply, Sleep, Stream
from dartjobs.client.errors import ConnectionFailedError, WaitTimeoutError, body_of
from dartjobs.client.patience import Outage, Patience, is_setback, send
from dartjobs.client.requests import WATCH_SILENCE, Requests
from dartjobs.client.sse import Parser
from dartjobs.models.problem import DartJobsError

Until = Literal["finished", "terminated"]
"""Whether a watch ends with the job's outcome, or when nothing is left in the cluster."""
_LATE = 0.5
"""Seconds by which a time limit may be missed: a read's own limit begins anew with each piece."""
_POLL = 1.0
_SHORTEST_SILENCE = 2.0
_SHORTEST_PAUSE = 0.1

Event = tuple[str, Json]
"""`transition` or `job`, and what the wire says of it."""


class Watch:
    """One watch. Its stream emits each transition once and each new state, and results in the job at the end."""

    def __init__(
        self, requests: Requests, patience: Patience, job_id: str, *, until: Until, timeout: float | None
    ) -> None:
        self._requests = requests
        self._patience = patience
        self._job_id = job_id
        self._until: Until = until
        self._timeout = timeout
        self._deadline = None if timeout is None else patience.clock() + timeout
        self._outage = Outage(patience, deadline=self._deadline)
        self._seen: set[tuple[int, int]] = set()
        self._job: Json | None = None
        self._streams = True

    def run(self) -> Stream[Event, Json]:
        """Look, then stream until the stream breaks; where no stream comes through, look again and again.

        Raises:
            WaitTimeoutError: the time is over.
            ConnectionFailedError: no success for as long as `patience` allows.
            DartJobsError: the server's own, such as that there is no such job.
        """
        while True:
            try:
                job = yield from self._look()
                if self._is_over(job):
                    return job
                self._check_time()
                over = yield from self._stream()
            except ConnectionFailedError as error:
                self._check_time(error)
                raise
            if over is not None:
                return over

    def _look(self) -> Stream[Event, Json]:
        silence = None if self._deadline is None else max(_SHORTEST_SILENCE, self._left(WATCH_SILENCE))
        reply = yield from send(self._requests.part(self._job_id, "events", silence), self._patience, self._outage)
        for transition in body_of(reply, self._patience.url)["items"]:
            yield from self._saw(transition)
        reply = yield from send(self._requests.get(self._job_id, silence), self._patience, self._outage)
        return (yield from self._is_now(body_of(reply, self._patience.url)))

    def _stream(self) -> Stream[Event, Json | None]:
        """The job, once it is over; None where the stream ended before."""
        if not self._streams:
            yield Sleep(self._left(_POLL))
            return None
        silence = self._left(WATCH_SILENCE)
        request = self._requests.watch(self._job_id, self._until, event_id(self._seen), silence)
        answer: Lost | Reply = yield Open(request)
        if is_setback(answer):
            yield from self._outage.pause(answer)
            return None
        self._streams = isinstance(answer, Reply) and answer.headers.get("content-type", "").startswith(
            "text/event-stream"
        )
        return (yield from self._take(silence)) if self._streams else None

    def _take(self, silence: float) -> Stream[Event, Json | None]:
        parser = Parser()
        anything = False
        while isinstance(piece := (yield Read()), bytes):
            anything = True
            for event in parser.feed(piece):
                if event.kind == "transition":
                    yield from self._saw(json.loads(event.data))
                elif event.kind == "job":
                    job = yield from self._is_now(json.loads(event.data))
                    if self._is_over(job):
                        return job
            if silence > self._left(silence) + _LATE:
                return None
        if isinstance(piece, Lost) and not piece.silent:
            yield from self._outage.pause(piece)
        else:
            # A stream that brings nothing, and one that just ends, are no better than looking now and then.
            self._streams = anything
            yield Sleep(self._left(_SHORTEST_PAUSE))
        return None

    def _saw(self, transition: Json) -> Stream[Event, None]:
        place = (transition["attempt"], transition["version"])
        if place not in self._seen:
            self._seen.add(place)
            yield Emit(("transition", transition))

    def _is_now(self, job: Json) -> Stream[Event, Json]:
        if job != self._job:
            self._job = job
            yield Emit(("job", job))
        return job

    def _is_over(self, job: Json) -> bool:
        if self._until == "terminated" and job["attempt"]["terminated_at"] is None:
            return False
        return job["finished_at"] is not None

    def _left(self, most: float) -> float:
        if self._deadline is None:
            return most
        return max(0.0, min(most, self._deadline - self._patience.clock()))

    def _check_time(self, cause: DartJobsError | None = None) -> None:
        if self._deadline is None or self._patience.clock() < self._deadline:
            return
        state = _state(self._job) if self._job else "could not be looked at"
        msg = f"The time to wait is over ({self._timeout:.3g} s): {self._job_id} {state}."
        raise WaitTimeoutError(msg) from cause


def event_id(seen: Iterable[tuple[int, int]]) -> str:
    """What the server would call this place: `attempt.version` of each attempt, the latest first, like `2.1,1.3`."""
    latest = dict(sorted(seen))
    return ",".join(f"{attempt}.{latest[attempt]}" for attempt in sorted(latest, reverse=True)) or "0.0"


def _state(job: Json) -> str:
    return f"is still {job['attempt']['resource_state']}, {job['attempt']['job_state']}"
