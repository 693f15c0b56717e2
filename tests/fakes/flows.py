"""Drives a client's flow by hand: prepared answers, and a clock that only its sleeps move."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dartjobs.client.effects import Call, Emit, Lost, Open, Reply, Request, Send, Sleep, Stream
from dartjobs.client.patience import Patience

_R = TypeVar("_R")

Answer = Reply | Lost | bytes | None

REFUSED = Lost("Connection refused", delivered=False)
JOB = "job-" + "0" * 26
BROKEN = Lost("peer closed connection")


@dataclass
class Driver:
    """What a flow did."""

    now: float = 1_000.0
    requests: list[Request] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def patience(self) -> Patience:
        return Patience("http://server", warn=self.warned.append, clock=lambda: self.now, spread=lambda: 0.5)

    def run(self, flow: Call[_R] | Stream[Any, _R], answers: Iterable[Answer]) -> _R:
        """To its result; the answers go to `Send`, `Open` and `Read` in their order."""
        prepared: Iterator[Answer] = iter(answers)
        answer: Any = None
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as end:
                result: _R = end.value
                return result
            match effect:
                case Sleep(seconds):
                    self.slept.append(seconds)
                    self.now += seconds
                    answer = None
                case Emit(value):
                    self.emitted.append(value)
                    answer = None
                case Send(request) | Open(request):
                    self.requests.append(request)
                    answer = next(prepared)
                case _:
                    answer = next(prepared)


def forever(answer: Answer) -> Iterator[Answer]:
    """The same answer, as often as it is asked for."""
    while True:
        yield answer
