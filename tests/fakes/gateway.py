"""A gateway on a real port: it keeps what runners report, and fails as it is told to."""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-of-the-attempt"


class Fault(Enum):
    """What may happen to one request."""

    DROP_REQUEST = auto()
    """The connection breaks before anything is recorded."""
    DROP_REPLY = auto()
    """It is recorded, and the connection breaks before the answer."""
    HALF = auto()
    """Half of the log's bytes are stored, and the answer says so."""


class FakeGateway:
    """Its fields are what it was told; `wait_for` waits for a condition on them."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self.log = bytearray()
        self.pushes: list[tuple[int, int]] = []
        """Offset and size of each."""
        self.starts: list[dict[str, Any]] = []
        self.exits: list[dict[str, Any]] = []
        self.heartbeats = 0
        self.requests: Counter[str] = Counter()
        """How often each kind was asked for, whatever became of it."""
        self.statuses: dict[str, int] = {}
        """From `start`, `heartbeat`, `logs`, `exit` to the status that it answers, without recording anything."""
        self.faults: dict[str, deque[Fault]] = {kind: deque() for kind in ("start", "heartbeat", "logs", "exit")}
        """What happens to the next requests of a kind, one each."""
        self._changed = threading.Condition()
        self._port = 0
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self.close()

    @property
    def url(self) -> str:
        """The same after `close` and `open`."""
        return f"http://{self._host}:{self._port}"

    def open(self) -> None:
        """Listen (again)."""
        self._server: _Server | None = _Server((self._host, self._port), _Handler)
        self._server.gateway = self
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Go away: the port refuses connections, and the open ones end with their request."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def wait_for(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until the condition holds.

        Raises:
            AssertionError: it does not in time.
        """
        with self._changed:
            assert self._changed.wait_for(condition, seconds), f"not within {seconds} s"

    def take(self, kind: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, Fault | None]:
        """Record a request; its status and answer, and what is to go wrong."""
        with self._changed:
            self.requests[kind] += 1
            fault = self.faults[kind].popleft() if self.faults[kind] else None
            try:
                if fault is Fault.DROP_REQUEST:
                    return 0, b"", fault
                if kind in self.statuses:
                    return self.statuses[kind], b"", fault
                return *self._record(kind, query, body, fault), fault
            finally:
                self._changed.notify_all()

    def _record(self, kind: str, query: dict[str, list[str]], body: bytes, fault: Fault | None) -> tuple[int, bytes]:
        match kind:
            case "start":
                mine = json.loads(body)
                self.starts.append(mine)
                return (HTTPStatus.NO_CONTENT if mine == self.starts[0] else HTTPStatus.CONFLICT), b""
            case "exit":
                self.exits.append(json.loads(body))
            case "heartbeat":
                self.heartbeats += 1
            case _:
                return HTTPStatus.OK, json.dumps({"end": self._store(int(query["offset"][0]), body, fault)}).encode()
        return HTTPStatus.NO_CONTENT, b""

    def _store(self, offset: int, body: bytes, fault: Fault | None) -> int:
        self.pushes.append((offset, len(body)))
        if offset <= len(self.log):
            data = body[len(self.log) - offset :]
            self.log += data[: len(data) // 2] if fault is Fault.HALF else data
        return len(self.log)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    gateway: FakeGateway

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed runner resets its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        gateway = self.server.gateway
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        kind = "logs" if "/logs/" in parts.path else parts.path.rpartition("/")[2]
        if not gateway.is_open:
            self.close_connection = True
            return
        status, answer, fault = gateway.take(kind, parse_qs(parts.query), body)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, answer = HTTPStatus.UNAUTHORIZED, b""
        if fault in {Fault.DROP_REQUEST, Fault.DROP_REPLY}:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""
