"""Performs the effects of flows with blocking calls."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from dartjobs.client.config import Target
from dartjobs.client.effects import Call, Effect, Emit, Lost, Open, Read, Reply, Request, Send, Sleep, Stream
from dartjobs.client.wire import client_options, lost_by, reply_of, request_options

_T = TypeVar("_T")
_R = TypeVar("_R")


class Shell:
    """Runs flows against one server. Several threads may share it."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._http = httpx.Client(**client_options(target, timeout))

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
        with _Body(self._http) as body:
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
        self._http.close()

    def _perform(self, effect: Effect, body: "_Body") -> Reply | Lost | bytes | None:
        try:
            match effect:
                case Send(request):
                    return self._send(request)
                case Open(request):
                    return body.open(self._build(request))
                case Read():
                    return body.read()
                case Sleep(seconds):
                    time.sleep(seconds)
                    return None
        except httpx.TransportError as error:
            return lost_by(error)

    def _send(self, request: Request) -> Reply:
        if isinstance(request.content, Path):
            with request.content.open("rb") as file:
                response = self._http.send(self._build(request, content=file))
        else:
            response = self._http.send(self._build(request))
        return reply_of(response, response.content)

    def _build(self, request: Request, **more: Any) -> httpx.Request:
        return self._http.build_request(**request_options(self._target, request, self._timeout), **more)


class _Body:
    """The open body of one flow."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, request: httpx.Request) -> Reply:
        self.close()
        response = self._http.send(request, stream=True)
        if response.is_error:
            with closing(response):
                return reply_of(response, response.read())
        self._response, self._pieces = response, response.iter_raw()
        return reply_of(response)

    def read(self) -> bytes | None:
        return next(self._pieces, None)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
