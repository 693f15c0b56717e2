"""What both shells share of HTTP: building httpx's arguments, and reading its answers and errors."""

import ssl
from typing import Any

import httpx

from dartjobs.client.config import Target
from dartjobs.client.effects import Lost, Reply, Request

PIECE = 2**20
"""Bytes of a file that are read at a time."""
_NOT_DELIVERED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def client_options(target: Target, timeout: float) -> dict[str, Any]:
    """The arguments of `httpx.Client` and `httpx.AsyncClient` alike. Redirects are never followed."""
    headers = {"user-agent": "dartjobs"}
    if target.user is not None:
        headers["x-dartjobs-user"] = _printable(target.user)
    options: dict[str, Any] = {
        "timeout": httpx.Timeout(timeout),
        "headers": headers,
        "trust_env": not target.is_loopback,
    }
    if target.url.startswith("http://"):
        # Reading the certificates of every authority takes longer than a submission; this context trusts none.
        options["verify"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return options


def request_options(target: Target, request: Request, timeout: float) -> dict[str, Any]:
    """The arguments of `build_request`, without a body that is a file."""
    read = timeout if request.silence is None else request.silence
    options: dict[str, Any] = {
        "method": request.method,
        "url": target.url + request.path,
        "params": request.params or None,
        "headers": dict(request.headers),
        "timeout": httpx.Timeout(timeout, read=read),
    }
    if isinstance(request.content, bytes):
        options["content"] = request.content
    elif request.content is not None:
        options["headers"]["content-length"] = str(request.content.stat().st_size)
    return options


def reply_of(response: httpx.Response, body: bytes = b"") -> Reply:
    """What a flow is shown of a response."""
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def lost_by(error: httpx.TransportError) -> Lost:
    """What a flow is told of a failed request or a broken response."""
    silent = isinstance(error, httpx.ReadTimeout)
    cause = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
    return Lost(cause or type(error).__name__, delivered=not isinstance(error, _NOT_DELIVERED), silent=silent)


def _printable(text: str) -> str:
    """A header holds ASCII only."""
    return text.encode("ascii", "backslashreplace").decode() if text.isprintable() else ascii(text)
