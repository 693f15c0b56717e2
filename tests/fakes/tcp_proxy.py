"""A TCP proxy in front of a MySQL or MariaDB server that loses replies, freezes, cuts and refuses."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

HOST = "127.0.0.1"
_COMMIT = b"\x03COMMIT"
"""COM_QUERY and its text."""
_CHUNK = 65_536


class Loss(Enum):
    """What of a COMMIT is lost, together with its connection."""

    REQUEST = "request"
    REPLY = "reply"


class TcpProxy:
    """Passes bytes on until it is told otherwise."""

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.commits_lost = 0
        self._upstream_port = upstream_port
        self._losses: list[Loss] = []
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False

    def lose_commit(self, loss: Loss) -> None:
        """Lose the next COMMIT's request or its reply."""
        self._losses.append(loss)

    def freeze(self) -> None:
        """Pass on nothing more on the connections of now: half-open, as behind a firewall that has forgotten them."""
        for link in self._links:
            link.flowing.clear()

    def cut(self) -> None:
        """End the connections of now."""
        for link in list(self._links):
            link.abort()

    def refuse(self) -> None:
        """End the connections of now, and each new one at once."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; called by asyncio."""
        self._spawn(self._serve(reader, writer))

    async def close(self) -> None:
        """End everything."""
        self.refuse()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        self._spawn(self._pump(link, server_reader, writer))
        await self._pump(link, reader, server_writer)
        self._links.discard(link)

    async def _pump(self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await link.flowing.wait()
                if writer is link.client and link.loses_reply:
                    self.commits_lost += 1
                    break
                if writer is link.server and _COMMIT in data and self._losses:
                    link.loses_reply = self._losses.pop(0) is Loss.REPLY
                    if not link.loses_reply:
                        self.commits_lost += 1
                        break
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            link.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.loses_reply = False
        self.flowing = asyncio.Event()
        self.flowing.set()

    def abort(self) -> None:
        self.flowing.set()
        for writer in (self.client, self.server):
            writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(upstream_port: int) -> AsyncIterator[TcpProxy]:
    """A proxy on a free port."""
    proxy = TcpProxy(upstream_port)
    listener = await asyncio.start_server(proxy.start, HOST, 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.close()
        await listener.wait_closed()
