"""HTTP/1.1 as cheap as Python has it, because it shares the cores with the server that it loads."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time; answers must have a Content-Length."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None

    @classmethod
    async def open(cls, url: str) -> "Connection":
        """Connect to the server of a URL."""
        made = cls(url)
        await made._connect()
        return made

    async def call(self, request: bytes) -> Reply:
        """Send a request and read its answer; connects again where an idle connection was closed.

        Raises:
            OSError: there was none.
        """
        if self._transport is None or self._transport.is_closing():
            await self._connect()
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, *address(self._url))

    def close(self) -> None:
        """Let go of it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport, self._buffer = cast("asyncio.Transport", transport), bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer the waiting call once the answer is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, end + 2)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) < whole:
            return
        reply = Reply(int(self._buffer[9:12]), bytes(self._buffer[end + 4 : whole]))
        del self._buffer[:whole]
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the waiting call."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError())


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL that names both."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def request(method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a request to this machine; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(content)}"]
    lines += [] if body is None or isinstance(body, bytes) else ["content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


@dataclass
class Tally:
    """What became of many requests."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    """Requests without an answer."""

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.latencies) / self.seconds


async def load(
    url: str, make: Callable[[], bytes], *, connections: int, seconds: float, on_reply: Callable[[Reply], None]
) -> Tally:
    """Send requests over many connections for so long, each connection one after another."""
    tally, begin = Tally(), time.perf_counter()
    opened = await asyncio.gather(*(Connection.open(url) for _ in range(connections)))

    async def repeat(connection: Connection) -> None:
        while (at := time.perf_counter()) - begin < seconds:
            try:
                reply = await connection.call(make())
            except OSError:
                tally.broken += 1
                return
            tally.latencies.append(time.perf_counter() - at)
            tally.statuses[reply.status] += 1
            on_reply(reply)

    await asyncio.gather(*(repeat(one) for one in opened))
    tally.seconds = time.perf_counter() - begin
    for one in opened:
        one.close()
    return tally
