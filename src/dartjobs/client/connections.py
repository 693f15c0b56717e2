"""HTTP/1.1 by the standard library: connections that are kept, proxies of the environment, an authority of one's own.

httpx takes longer to import than a whole submission may take, so the synchronous client and the command line use
`http.client`; the asynchronous client uses httpx.
"""

import http.client
import os
import select
import socket
import threading
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from dartjobs.client.config import Target
from dartjobs.client.effects import Lost, Reply, Request
from dartjobs.client.losses import loss_of

if TYPE_CHECKING:
    import ssl

PIECE = 2**20
"""Bytes of a file that are sent at a time."""
_FAILURES = (OSError, http.client.HTTPException)


class Connections:
    """Those to one server. Threads may share them."""

    def __init__(self, target: Target, timeout: float, environ: Mapping[str, str] = os.environ) -> None:
        self._target = target
        self._timeout = timeout
        self._server = urlsplit(target.url)
        self._proxy = _proxy_for(target, self._server, environ)
        self._tls: ssl.SSLContext | None = None
        self._idle: list[http.client.HTTPConnection] = []
        self._closed = False
        self._lock = threading.Lock()

    def send(self, request: Request) -> "Exchange | Lost":
        """Send it, and read up to the body of the answer."""
        connection = self._take()
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(self._timeout if request.silence is None else request.silence)
        except _FAILURES as error:
            connection.close()
            return loss_of(error, delivered=False)
        try:
            self._write(connection, request)
            return Exchange(self, connection, connection.getresponse())
        except _FAILURES as error:
            connection.close()
            return loss_of(error, delivered=True)

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep it for the next request, unless there will be none."""
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Let go of those that are kept."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            connection.close()

    def _write(self, connection: http.client.HTTPConnection, request: Request) -> None:
        headers = {"user-agent": "dartjobs", **self._target.headers, **request.headers}
        url = self._server.path + request.path + (f"?{urlencode(request.params)}" if request.params else "")
        if self._proxy is not None and self._server.scheme == "http":
            url = f"http://{self._server.netloc}{url}"
            headers |= _authorization(self._proxy)
        if not isinstance(request.content, Path):
            connection.request(request.method, url, request.content, headers)
            return
        start, end = request.span or (0, request.content.stat().st_size)
        headers["content-length"] = str(end - start)
        with request.content.open("rb") as file:
            file.seek(start)
            try:
                connection.request(request.method, url, _Counted(file, end - start, request), headers)
            except ConnectionError:
                if connection.sock is None:
                    raise
                # It may have answered before it had all, such as that it is too much: that answer is read.

    def _take(self) -> http.client.HTTPConnection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.sock is not None and not _is_readable(connection.sock):
                    return connection
                connection.close()  # the server has closed it, or says what nobody asked for
        return self._new()

    def _new(self) -> http.client.HTTPConnection:
        place = self._proxy or self._server
        host = place.hostname or ""
        if self._server.scheme == "http":
            return http.client.HTTPConnection(host, place.port or 80, timeout=self._timeout, blocksize=PIECE)
        port = place.port or (443 if self._proxy is None else 80)
        connection = http.client.HTTPSConnection(
            host, port, timeout=self._timeout, blocksize=PIECE, context=self._context()
        )
        if self._proxy is not None:
            server = self._server.hostname or ""
            connection.set_tunnel(server, self._server.port or 443, _authorization(self._proxy))
        return connection

    def _context(self) -> "ssl.SSLContext":
        if self._tls is None:
            self._tls = tls_context(self._target)
        return self._tls


class Exchange:
    """One answer, whose body is still to be read."""

    def __init__(
        self, connections: Connections, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._response = response
        self._left = None if response.chunked else response.length
        self.head = Reply(response.status, {name.lower(): value for name, value in response.getheaders()})

    def read_all(self) -> Reply | Lost:
        """With its body; the connection is kept."""
        try:
            body = self._response.read()
        except _FAILURES as error:
            self.close()
            return loss_of(error, delivered=True)
        if self._response.will_close:
            self.close()
        else:
            self._connections.give_back(self._connection)
        return Reply(self.head.status, self.head.headers, body)

    def read(self) -> bytes | Lost | None:
        """What came next; None at its end."""
        if self._left == 0:
            return None
        try:
            piece = self._response.read1(PIECE if self._left is None else min(PIECE, self._left))
        except _FAILURES as error:
            return loss_of(error, delivered=True)
        if self._left is not None:
            self._left -= len(piece)
            if not piece:
                return Lost("the connection was closed in the middle of the answer")
        return piece or None

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()
        self._connection.close()


class _Counted:
    """A file that tells how much of it was read to be sent."""

    def __init__(self, file: BinaryIO, length: int, request: Request) -> None:
        self._file = file
        self._length = length
        self._on_sent = request.on_sent
        self._sent = 0

    def read(self, size: int = -1) -> bytes:
        left = self._length - self._sent
        piece = self._file.read(left if size < 0 else min(size, left))
        self._sent += len(piece)
        if self._on_sent is not None:
            self._on_sent(self._sent)
        return piece


def _is_readable(sock: socket.socket) -> bool:
    """Without waiting."""
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # `select` takes no descriptor beyond 1,023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def tls_context(target: Target) -> "ssl.SSLContext":
    """The system's authorities, or that of the context's `ca_file` alone.

    Raises:
        InvalidRequestError: that file holds no certificate.
    """
    import ssl

    from dartjobs.models.problem import InvalidRequestError

    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as error:
        msg = f"{target.ca_file} holds no certificates in PEM: {error}"
        raise InvalidRequestError(msg) from error


def _proxy_for(target: Target, server: SplitResult, environ: Mapping[str, str]) -> SplitResult | None:
    """Where the environment names one; never for this machine itself."""
    if target.is_loopback or not any(name.lower().endswith("_proxy") and environ[name] for name in environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    chosen = proxies.get(server.scheme) or proxies.get("all")
    if not chosen or proxy_bypass(server.netloc):
        return None
    return urlsplit(chosen if "://" in chosen else f"http://{chosen}")


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"proxy-authorization": f"Basic {b64encode(pair.encode()).decode()}"}
