"""Performs the effects of flows with asyncio."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from dartjobs.client.config import Target
from dartjobs.client.connections import PIECE
from dartjobs.client.effects import Call, Effect, Emit, Lost, Open, Read, Reply, Request, Send, Sleep, Stream
from dartjobs.client.wire import client_options, lost_by, reply_of, request_options

_T = TypeVar("_T")
_R = TypeVar("_R")


class AsyncShell:
    """Runs flows against one server, on the event loop of its caller."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._http = httpx.AsyncClient(**client_options(target, timeout))

    async def run(self, flow: Call[_R] | Stream[Any, _R]) -> _R:
        """To its result; what it emits on the way is passed over."""
        result: list[_R] = []
        async with aclosing(self._steps(flow, result)) as values:
            async for _ in values:
                pass
        return result[0]

    async def iterate(self, flow: Stream[_T, Any]) -> AsyncGenerator[_T, None]:
        """What it emits."""
        async with aclosing(self._steps(flow, [])) as values:
            async for value in values:
                yield value

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _steps(self, flow: Stream[_T, _R] | Call[_R], result: list[_R]) -> AsyncGenerator[_T, None]:
        """An asynchronous generator has no result of its own: it goes to `result`."""
        async with _Body(self._http) as body:
            answer: Any = None
            while True:
                try:
                    effect = flow.send(answer)
                except StopIteration as end:
                    result.append(end.value)
                    return
                if isinstance(effect, Emit):
                    yield effect.value
                    answer = None
                else:
                    answer = await self._perform(effect, body)

    async def _perform(self, effect: Effect, body: "_Body") -> Reply | Lost | bytes | None:
        try:
            match effect:
                case Send(request):
                    return await self._send(request)
                case Open(request):
                    return await body.open(self._build(request))
                case Read():
                    return await body.read()
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                    return None
        except httpx.TransportError as error:
            return lost_by(error)

    async def _send(self, request: Request) -> Reply:
        more = {"content": _pieces(request.content, request)} if isinstance(request.content, Path) else {}
        response = await self._http.send(self._build(request, **more))
        return reply_of(response, response.content)

    def _build(self, request: Request, **more: Any) -> httpx.Request:
        return self._http.build_request(**request_options(self._target, request, self._timeout), **more)


class _Body:
    """The open body of one flow."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self, request: httpx.Request) -> Reply:
        await self.close()
        response = await self._http.send(request, stream=True)
        if not response.is_success:
            async with aclosing(response):
                return reply_of(response, await response.aread())
        self._response, self._pieces = response, response.aiter_raw()
        return reply_of(response)

    async def read(self) -> bytes | None:
        return await anext(self._pieces, None) if self._pieces is not None else None

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None


async def _pieces(path: Path, request: Request) -> AsyncIterator[bytes]:
    start, end = request.span or (0, sys.maxsize)
    sent = 0
    with path.open("rb") as file:
        file.seek(start)
        while piece := await asyncio.to_thread(file.read, min(PIECE, end - start - sent)):
            yield piece
            sent += len(piece)
            if request.on_sent is not None:
                request.on_sent(sent)
