"""The API server, as far as the driver needs it: a thin shell over httpx that says what went wrong.

Answers and errors: https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import msgspec

from dartjobs.drivers.base import DriverError, FinalDriverError, TemporaryDriverError
from dartjobs.drivers.kuberay.credentials import Credentials
from dartjobs.drivers.kuberay.names import Kind
from dartjobs.drivers.kuberay.shapes import Listing, Thing, decode_status, encode

S = TypeVar("S")
T = TypeVar("T", bound=Thing)
_QUICK = httpx.Timeout(10.0, connect=3.0)
_LONGEST_PAUSE = 30.0
_FINAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
_DENIED = ("denied the request", "denied request")
"""How the API server begins the words of an admission webhook, and of a ValidatingAdmissionPolicy."""
_SHOWN = 2_000


class NotThereError(TemporaryDriverError):
    """The API server knows nothing under that name, or not that kind."""


class TakenError(TemporaryDriverError):
    """The name is taken, or a precondition does not hold."""


class ForbiddenError(TemporaryDriverError):
    """A quota, or our Role, does not allow it: nothing about the job itself."""


class Client:
    """One API server. Every method raises `TemporaryDriverError` or `FinalDriverError`, and nothing else on purpose."""

    def __init__(self, found: Credentials) -> None:
        self.server = found.server
        self.http = httpx.AsyncClient(
            verify=found.verify, auth=found.auth, trust_env=False, limits=httpx.Limits(max_connections=None)
        )
        self._not_before = 0.0

    async def close(self) -> None:
        """Let go of connections."""
        await self.http.aclose()

    async def get(self, kind: Kind, namespace: str, name: str, shape: type[T]) -> T | None:
        """One object; None if there is none."""
        try:
            return _decode(await self._ask("GET", kind.path(namespace, name)), shape)
        except NotThereError:
            return None

    async def read(self, path: str, shape: type[T]) -> T:
        """What is at a path."""
        return _decode(await self._ask("GET", path), shape)

    async def list(
        self, path: str, shape: type[T], selector: str = "", headers: dict[str, str] | None = None
    ) -> Listing[T]:
        """All at a path, not older than the request."""
        params = {"labelSelector": selector} if selector else {}
        answer = await self._ask("GET", path, params=params, headers=headers or {})
        of_shape: type[Listing[T]] = Listing[shape]  # type: ignore[valid-type]  # made as the program runs
        return _decode(answer, of_shape)

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any], *, dry_run: bool = False) -> None:
        """Create it; the API server refuses a field that it does not know.

        Raises:
            TakenError: there is one of that name.
            ForbiddenError: a quota, or our Role, is against it; it may be there all the same.
            FinalDriverError: it was refused for good, in the words of what refused it.
        """
        params = {"fieldManager": "dartjobs", "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        headers = {"content-type": "application/json"}
        await self._ask("POST", kind.path(namespace), params=params, headers=headers, content=encode(body))

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
        foreground: bool = False,
    ) -> bool:
        """Begin to delete it; False if there is none, or not with that UID.

        Args:
            kind: of the object.
            namespace: where it is.
            name: what it is called.
            uid: only that very object.
            grace_seconds: until its containers are killed, if it is a pod; None: as it says itself.
            foreground: it stays until all that belongs to it is gone.
        """
        policy = "Foreground" if foreground else "Background"
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        headers = {"content-type": "application/json"}
        try:
            await self._ask("DELETE", kind.path(namespace, name), headers=headers, content=encode(body))
        except (NotThereError, TakenError):
            return False
        return True

    @asynccontextmanager
    async def watch(
        self, path: str, params: dict[str, str], headers: dict[str, str], limits: httpx.Timeout
    ) -> AsyncIterator[httpx.Response]:
        """A stream of events, open.

        Raises:
            DriverError: it was refused.
            httpx.HTTPError: it broke.
        """
        url = self.server + path
        async with self.http.stream("GET", url, params=params, headers=headers, timeout=limits) as answer:
            if answer.status_code != HTTPStatus.OK:
                await answer.aread()
                raise self._error(answer)
            yield answer

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        pause = self._not_before - time.monotonic()
        if pause > 0:
            msg = f"the API server asked for a pause; it lasts for another {pause:.1f} s"
            raise TemporaryDriverError(msg)
        try:
            answer = await self.http.request(method, self.server + path, timeout=_QUICK, **more)
        except httpx.HTTPError as error:
            msg = f"the API server did not answer {method} {path}: {error!r}"
            raise TemporaryDriverError(msg) from error
        if answer.is_success:
            return answer
        raise self._error(answer)

    def _error(self, answer: httpx.Response) -> DriverError:
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._not_before = time.monotonic() + _retry_after(answer)
        return error_of(answer)


def error_of(answer: httpx.Response) -> DriverError:
    """What an answer that is no success means for who asked."""
    status = decode_status(answer.content)
    words = (status.message if status is not None and status.message else answer.text.strip())[:_SHOWN]
    code = answer.status_code
    if any(denied in words for denied in _DENIED) and answer.is_client_error:
        return FinalDriverError(words)
    if code == HTTPStatus.NOT_FOUND:
        return NotThereError(words)
    if code == HTTPStatus.CONFLICT:
        return TakenError(words)
    if code == HTTPStatus.FORBIDDEN:
        return ForbiddenError(words)
    if code in _FINAL:
        return FinalDriverError(words)
    return TemporaryDriverError(f"the API server answered {code}: {words}")


def is_about_quota(error: ForbiddenError) -> bool:
    """Whether a ResourceQuota was in the way, and not our Role."""
    return "exceeded quota" in str(error)


def _retry_after(answer: httpx.Response) -> float:
    """Seconds; one where it does not say."""
    try:
        return min(max(float(answer.headers.get("retry-after", "1")), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return 1.0


def _decode(answer: httpx.Response, shape: type[S]) -> S:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.MsgspecError as error:
        msg = f"the API server's answer to {answer.request.url} cannot be read: {error}"
        raise TemporaryDriverError(msg) from error
