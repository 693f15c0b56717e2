"""How long a client tries again: bounded, with growing pauses. Each request may be repeated: submissions have a key."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from random import SystemRandom

from dartjobs.client.effects import Call, Lost, Reply, Request, Send, Sleep
from dartjobs.client.errors import error_of_loss, error_of_reply

FIRST_CONTACT = 1.0
"""Seconds for which a server that never answered is tried: a hiccup passes, a wrong address is soon told."""
BUSY = 10.0
"""Seconds for which a server is tried that took the request and did not answer it, or answers that it cannot now."""
_BUSY = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_SHORTEST, _LONGEST = 0.1, 2.0
_LONGEST_RETRY_AFTER = 30.0
_SETTLED = 5.0
"""Seconds after a server's return for which another connection that still misses it tells nothing new."""


def _say_nothing(_: str) -> None:
    """Nobody listens."""


class Notices:
    """Tells an outage once, though several connections notice its begin and its end, each at its own moment.

    Threads may share it.
    """

    def __init__(self) -> None:
        self.has_answered = False
        """The server, ever: it is no wrong address."""
        self._lock = threading.Lock()
        self._told = False
        self._back_at = -math.inf

    def is_news(self, *, lost: bool, now: float) -> bool:
        """Whether the loss, or the return, is to be told; `now` in seconds."""
        with self._lock:
            if lost == self._told or (lost and now < self._back_at + _SETTLED):
                return False
            self._told = lost
            self._back_at = self._back_at if lost else now
            return True


@dataclass(frozen=True, slots=True)
class Patience:
    """What a client tries again with."""

    url: str
    reconnect_for: float = 60.0
    """Seconds without any success after which a follower or a waiter that was connected gives up."""
    first_contact: float = FIRST_CONTACT
    busy: float = BUSY
    warn: Callable[[str], object] = _say_nothing
    """Told what its user should know though the call goes on."""
    clock: Callable[[], float] = time.monotonic
    """Seconds."""
    spread: Callable[[], float] = SystemRandom().random
    """From 0 to 1: keeps those apart who lost one server in the same instant."""
    _notices: Notices = field(default_factory=Notices)

    @property
    def has_answered(self) -> bool:
        """Whether the server ever did."""
        return self._notices.has_answered

    def answered(self) -> None:
        """The server did."""
        self._notices.has_answered = True

    def lost(self, cause: str) -> None:
        """A connection that was up is not."""
        if self._notices.is_news(lost=True, now=self.clock()):
            self.warn(f"lost {self.url} ({cause}), trying again")

    def back(self) -> None:
        """It is again."""
        if self._notices.is_news(lost=False, now=self.clock()):
            self.warn(f"{self.url} answers again")


class Outage:
    """The time since the last success, and what is left of it."""

    def __init__(self, patience: Patience, *, deadline: float | None = None) -> None:
        self._patience = patience
        self._deadline = math.inf if deadline is None else deadline
        self._since: float | None = None
        self._tries = 0
        self._was_up = False

    def over(self) -> None:
        """The server answered."""
        self._patience.answered()
        if self._since is not None and self._was_up:
            self._patience.back()
        self._since, self._tries, self._was_up = None, 0, True

    def pause(self, setback: Lost | Reply) -> Call[None]:
        """Wait a moment before the next try, but not past the deadline (on the clock).

        Raises:
            ConnectionFailedError, DartJobsError: it has been tried long enough.
        """
        now = self._patience.clock()
        if self._since is None:
            self._since = now
        if self._was_up:
            self._patience.lost(_cause(setback))
        end = min(self._since + self._limit(setback), self._deadline)
        if now >= end:
            raise self._error(setback, now - self._since)
        backoff = min(_SHORTEST * 2**self._tries, _LONGEST) * (0.75 + 0.5 * self._patience.spread())
        seconds = max(backoff, _asked_for(setback))
        self._tries += 1
        yield Sleep(min(seconds, end - now))

    def _limit(self, setback: Lost | Reply) -> float:
        if isinstance(setback, Lost) and setback.final:
            return 0.0
        if self._was_up:
            return self._patience.reconnect_for
        patience = self._patience
        is_first = isinstance(setback, Lost) and not setback.delivered and not patience.has_answered
        return patience.first_contact if is_first else patience.busy

    def _error(self, setback: Lost | Reply, after: float) -> Exception:
        if isinstance(setback, Lost):
            return error_of_loss(setback, self._patience.url, after=after)
        return error_of_reply(setback, self._patience.url)


def is_setback(answer: Lost | Reply) -> bool:
    """Whether trying again may help."""
    return isinstance(answer, Lost) or answer.status in _BUSY


def send(request: Request, patience: Patience, outage: Outage | None = None) -> Call[Reply]:
    """Send it until it is answered.

    Raises:
        DartJobsError: the server's own, with the request's id.
        ConnectionFailedError: no answer.
    """
    outage = outage or Outage(patience)
    while True:
        answer: Lost | Reply = yield Send(request)
        if not is_setback(answer):
            outage.over()
            return checked(answer, patience)
        yield from outage.pause(answer)


def checked(answer: Lost | Reply, patience: Patience) -> Reply:
    """The answer, where it is good; else its exception is raised."""
    if isinstance(answer, Lost):
        raise error_of_loss(answer, patience.url)
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise error_of_reply(answer, patience.url)
    return answer


def _cause(setback: Lost | Reply) -> str:
    return setback.cause if isinstance(setback, Lost) else str(setback.status)


def _asked_for(setback: Lost | Reply) -> float:
    seconds = setback.retry_after if isinstance(setback, Reply) else None
    return min(seconds or 0.0, _LONGEST_RETRY_AFTER)
