"""The Jobs API of one head, as far as a driver needs it (Ray 2.60: ray/dashboard/modules/job/job_head.py)."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx

from dartjobs.core.world import RayJob, RayJobStatus
from dartjobs.drivers.base import FinalDriverError, PackageRefusedError, TemporaryDriverError

_QUICK = httpx.Timeout(5.0, connect=2.0)
_SLOW = httpx.Timeout(60.0, connect=2.0)
"""Ray itself waits up to 30 s for the agent that starts drivers."""
_TO_BE_TRIED_AGAIN = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Client errors that are not about the request: credentials, a proxy between us and the head."""
_SHOWN = 2_000


class RayJobs:
    """One head. Every method raises `TemporaryDriverError` where the head gave no answer, or none of use."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str | None = None) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"x-ray-authorization": f"Bearer {token}"}

    async def answers(self) -> bool:
        """Whether it serves; from then on it takes submissions (it waits itself for what is not up yet)."""
        try:
            return (await self._ask("GET", "/api/version", _QUICK)).status_code == HTTPStatus.OK
        except TemporaryDriverError:
            return False

    async def job(self, submission_id: str) -> RayJob:
        """What it knows of a driver; `ABSENT` if nothing."""
        answer = await self._ask("GET", f"/api/jobs/{submission_id}", _QUICK)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return RayJob(RayJobStatus.ABSENT)
        if answer.status_code != HTTPStatus.OK:
            raise _temporary(answer)
        try:
            found = answer.json()
            status = RayJobStatus(found["status"])
        except (ValueError, KeyError, TypeError) as error:
            raise _temporary(answer) from error
        return RayJob(status, found.get("message") or "", found.get("error_type"), found.get("driver_exit_code"))

    async def submit(self, body: dict[str, Any]) -> None:
        """Submit; that it is known already is no error.

        Raises:
            FinalDriverError: Ray refused it, in its words.
        """
        try:
            answer = await self._ask("POST", "/api/jobs/", _SLOW, json=body)
        except TemporaryDriverError:
            if await self._knows(body["submission_id"]):
                return
            raise
        if answer.status_code == HTTPStatus.OK or await self._knows(body["submission_id"]):
            return
        raise _final(answer) if _is_final(answer) else _temporary(answer)

    async def stop(self, submission_id: str) -> None:
        """Ask it to stop a driver; one that it does not know, or that is over, needs no stop."""
        answer = await self._ask("POST", f"/api/jobs/{submission_id}/stop", _QUICK)
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise _temporary(answer)

    async def has_package(self, name: str) -> bool:
        """Whether its package store has it."""
        answer = await self._ask("GET", f"/api/packages/gcs/{name}", _SLOW)
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise _temporary(answer)
        return answer.status_code == HTTPStatus.OK

    async def put_package(self, name: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Put `size` bytes into its package store.

        Raises:
            PackageRefusedError: it does not take them.
        """
        headers = {"content-length": str(size), "content-type": "application/octet-stream"}
        answer = await self._ask("PUT", f"/api/packages/gcs/{name}", _SLOW, content=chunks, headers=headers)
        if answer.status_code == HTTPStatus.OK:
            return
        if _is_final(answer):
            raise PackageRefusedError(_words(answer))
        raise _temporary(answer)

    async def _knows(self, submission_id: str) -> bool:
        return (await self.job(submission_id)).status is not RayJobStatus.ABSENT

    async def _ask(self, method: str, path: str, limits: httpx.Timeout, **more: Any) -> httpx.Response:
        headers = self._headers | more.pop("headers", {})
        try:
            return await self._http.request(method, self._url + path, timeout=limits, headers=headers, **more)
        except httpx.HTTPError as error:
            msg = f"the head did not answer {method} {path}: {error!r}"
            raise TemporaryDriverError(msg) from error


def _is_final(answer: httpx.Response) -> bool:
    return answer.is_client_error and answer.status_code not in _TO_BE_TRIED_AGAIN


def _final(answer: httpx.Response) -> FinalDriverError:
    return FinalDriverError(_words(answer))


def _temporary(answer: httpx.Response) -> TemporaryDriverError:
    return TemporaryDriverError(f"the head answered {answer.status_code}: {_words(answer)}")


def _words(answer: httpx.Response) -> str:
    """Ray answers with a traceback: the end of it says what is wrong."""
    return answer.text.strip()[-_SHOWN:]
