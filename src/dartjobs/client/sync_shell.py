"""Performs the effects of flows with blocking calls."""

import time
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from dartjobs.client.config import Target
from dartjobs.client.connections import Connections, Exchange
from dartjobs.client.effects import Call, Effect, Emit, Lost, Open, Read, Reply, Request, Send, Sleep, Stream

_T = TypeVar("_T")
_R = TypeVar("_R")
_ERRORS_FROM = 300
"""Redirects are never followed: they are told as what they are."""


class Shell:
    """Runs flows against one server. Several threads may share it."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._connections = Connections(target, timeout)

    def run(self, flow: Call[_R] | Stream[Any, _R]) -> _R:
        """To its result; what it emits on the way is passed over."""
        steps = self.iterate(flow)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: _R = end.value
                return result

    def iterate(self, flow: Call[_R] | Stream[_T, _R]) -> Generator[_T, None, _R]:
        """What it emits; its result is the result of the iteration."""
        with _Body(self._connections) as body:
            answer: Any = None
            while True:
                try:
                    effect = flow.send(answer)
                except StopIteration as end:
                    result: _R = end.value
                    return result
                if isinstance(effect, Emit):
                    yield effect.value
                    answer = None
                else:
                    answer = self._perform(effect, body)

    def close(self) -> None:
        """Let go of the connections."""
        self._connections.close()

    def _perform(self, effect: Effect, body: "_Body") -> Reply | Lost | bytes | None:
        match effect:
            case Send(request):
                exchange = self._connections.send(request)
                return exchange if isinstance(exchange, Lost) else exchange.read_all()
            case Open(request):
                return body.open(request)
            case Read():
                return body.read()
            case Sleep(seconds):
                time.sleep(seconds)
                return None


class _Body:
    """The open body of one flow."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._exchange: Exchange | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, request: Request) -> Reply | Lost:
        self.close()
        exchange = self._connections.send(request)
        if isinstance(exchange, Lost):
            return exchange
        if exchange.head.status >= _ERRORS_FROM:
            return exchange.read_all()
        self._exchange = exchange
        return exchange.head

    def read(self) -> bytes | Lost | None:
        return self._exchange.read() if self._exchange is not None else None

    def close(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
