"""What the asynchronous shell needs of httpx: its arguments, its answers and its errors."""

import ssl
from typing import Any

import httpx

from dartjobs.client.config import Target
from dartjobs.client.connections import tls_context
from dartjobs.client.effects import Lost, Reply, Request
from dartjobs.client.losses import loss_of

_NOT_DELIVERED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def client_options(target: Target, timeout: float) -> dict[str, Any]:
    """The arguments of `httpx.AsyncClient`. Redirects are never followed."""
    # Reading the certificates of every authority takes longer than a submission; without TLS none is trusted.
    plain = target.url.startswith("http://")
    return {
        "timeout": httpx.Timeout(timeout),
        "limits": httpx.Limits(max_connections=None),  # a program may watch any number of jobs at once
        "headers": {"user-agent": "dartjobs", **target.headers},
        "trust_env": not target.is_loopback,
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else tls_context(target),
    }


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
        start, end = request.span or (0, request.content.stat().st_size)
        options["headers"]["content-length"] = str(end - start)
    return options


def reply_of(response: httpx.Response, body: bytes = b"") -> Reply:
    """What a flow is shown of a response."""
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def lost_by(error: httpx.TransportError) -> Lost:
    """What a flow is told of a failed request or a broken response."""
    delivered = not isinstance(error, _NOT_DELIVERED)
    if isinstance(error, httpx.TimeoutException):
        return loss_of(TimeoutError(), delivered=delivered)
    return loss_of(error, delivered=delivered)
