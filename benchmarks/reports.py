"""Hears what a child's cluster is asked for, and acts as the runners of its jobs."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import http
from benchmarks.children.drivers import HEAD
from benchmarks.children.platform import INSTALLATION, SECRET
from dartjobs.services.tokens import attempt_token


class Report(NamedTuple):
    """Something that was asked of a cluster."""

    what: str
    """`create` or `submit`."""
    attempt: str
    at: float
    """By the monotonic clock."""

    @property
    def job(self) -> str:
        """The attempt's."""
        return self.attempt.rpartition("-")[0]


@contextlib.asynccontextmanager
async def listening(on_report: Callable[[Report], None]) -> AsyncIterator[str]:
    """Hear reports while the context is open; it is the path to report to."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            on_report(Report(**json.loads(line)))
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "reports")
        server = await asyncio.start_unix_server(hear, path)
        try:
            yield path
        finally:
            server.close()


class Runners:
    """Reports start and exit of drivers that do not exist, over a few connections to the gateway."""

    def __init__(self, connections: list[http.Connection]) -> None:
        self._free: asyncio.Queue[http.Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)
        self._tasks: set[asyncio.Task[None]] = set()
        self.exits: dict[str, float] = {}
        """When each attempt's exit was answered, by the monotonic clock."""

    @classmethod
    async def open(cls, gateway_url: str, count: int = 8) -> "Runners":
        """Connect to a gateway."""
        return cls([await http.Connection.open(gateway_url) for _ in range(count)])

    def run(self, attempt_id: str) -> None:
        """A driver starts and exits with 0 at once."""
        task = asyncio.create_task(self._run(attempt_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, attempt_id: str) -> None:
        await self.post(attempt_id, "start", {"head_uid": HEAD, "pid": 1})
        await self.post(attempt_id, "exit", {"code": 0, "log_end": 0})
        self.exits[attempt_id] = asyncio.get_running_loop().time()

    async def post(self, attempt_id: str, path: str, body: object) -> http.Reply:
        """Report something.

        Raises:
            RuntimeError: the gateway did not take it.
        """
        token = attempt_token(SECRET, INSTALLATION, attempt_id)
        headers = {"authorization": f"Bearer {token}"}
        connection = await self._free.get()
        try:
            reply = await connection.call(http.request("POST", f"/v1/attempts/{attempt_id}/{path}", body, headers))
        finally:
            self._free.put_nowait(connection)
        if reply.status >= 300:
            msg = f"the gateway answered {reply.status} to {path}: {reply.body[:200]!r}"
            raise RuntimeError(msg)
        return reply
