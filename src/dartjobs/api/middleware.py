"""What every request passes: an id, a size limit, a rate limit, and the check of Host and Origin."""

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dartjobs.api.limits import RateLimit
from dartjobs.api.problems import fault_response, problem_response
from dartjobs.api.settings import ApiSettings, is_loopback
from dartjobs.models.problem import BodyTooLargeError, DartJobsError, ForbiddenHostError
from dartjobs.services.ids import new_job_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """Answers a problem to what is foreign, too large or too much; gives everything else its request id."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings
        self._addresses = RateLimit(settings.address_requests_per_second, settings.address_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_job_id().removeprefix("job-")
        scope.setdefault("state", {})["request_id"] = request_id
        mine = (b"x-request-id", request_id.encode())
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), mine]
            await send(message)

        try:
            self._check(scope, headers)
        except DartJobsError as refusal:
            await problem_response(refusal, request_id)(scope, receive, send_with_id)
            return
        try:
            await self._app(scope, self._limited(scope, receive), send_with_id)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            if started:
                raise
            await fault_response(error, request_id)(scope, receive, send_with_id)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = _host_of(f"//{headers.get('host', '')}")
        if not self._settings.allow_unauthenticated and not is_loopback(host):
            msg = f"Host {host!r} is not this machine. Use the address that `dartjobs up` printed."
            raise ForbiddenHostError(msg)
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host:
            msg = f"Origin {origin!r} may not call this API from a browser."
            raise ForbiddenHostError(msg)
        length = headers.get("content-length", "0")
        if not _is_upload(scope) and length.isdecimal() and int(length) > self._settings.body_limit:
            msg = f"The body has {length} bytes; the limit is {self._settings.body_limit}."
            raise BodyTooLargeError(msg)
        client = scope.get("client")
        self._addresses.take(client[0] if client else "unknown")

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        if _is_upload(scope):
            return receive
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._settings.body_limit:
                msg = f"The body is longer than the limit of {self._settings.body_limit} bytes."
                raise BodyTooLargeError(msg)
            return message

        return receive_some


def _is_upload(scope: Scope) -> bool:
    return scope["method"] in {"PUT", "PATCH"} and "/packages/" in scope["path"]


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
