"""The requests of the API, built from plain arguments."""

import json
import re
from pathlib import Path
from typing import Any

from dartjobs.client.effects import Json, Request
from dartjobs.client.filters import Params
from dartjobs.models.problem import InvalidRequestError, NotFoundError

WATCH_SILENCE = 45.0
"""Seconds: three of the comment lines that keep a watch alive are missing."""
FOLLOW_SILENCE = 90.0
"""Seconds: the server ends a follow after 60 s without a byte."""
JOB_ID = re.compile(r"job-[0-9a-v]{26}")
"""As `models.job.JobId` says, which needs pydantic."""
_SEGMENT = re.compile(r"[A-Za-z0-9:_-][A-Za-z0-9:._-]{0,127}")
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_JSON = {"content-type": "application/json"}
_AS_STORED = {"accept-encoding": "identity"}
"""Offsets count the log's own bytes, so nobody on the way may compress them."""


class Requests:
    """Builds the requests of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._base = f"/api/v1/namespaces/{_segment(namespace)}"

    def submit(self, spec: Json, key: str) -> Request:
        """One job; the server does it once for one key, however often it is sent."""
        return _post(f"{self._base}/jobs", spec, key=key)

    def submit_many(self, specs: list[Json], key: str) -> Request:
        """Several jobs, each on its own."""
        return _post(f"{self._base}/jobs/batch", {"items": specs}, key=key)

    def page(self, filters: Params, limit: int, cursor: str | None) -> Request:
        """One page of the list, newest first."""
        params = (*filters, ("limit", str(limit)), *([("cursor", cursor)] if cursor is not None else []))
        return Request("GET", f"{self._base}/jobs", params=params)

    def get(self, job_id: str, silence: float | None = None) -> Request:
        """One job."""
        return Request("GET", self._job(job_id), silence=silence)

    def stop(self, job_id: str, reason: str) -> Request:
        """Ask for a stop."""
        return _post(f"{self._job(job_id)}/stop", {"reason": reason})

    def stop_many(self, filters: Params, reason: str, cursor: str | None, *, everything: bool) -> Request:
        """Ask for a stop of a page of those that match."""
        params = (*filters, *([("all", "true")] if everything else []), *([("cursor", cursor)] if cursor else []))
        return _post(f"{self._base}/jobs/stop", {"reason": reason}, params)

    def retry(self, job_id: str, key: str) -> Request:
        """A new job like this one."""
        return _post(f"{self._job(job_id)}/retry", None, key=key)

    def requeue(self, job_id: str, number: int, reason: str) -> Request:
        """End the attempt of this number and queue the job again."""
        return _post(f"{self._job(job_id)}/requeue", {"reason": reason, "attempt": number})

    def part(self, job_id: str, name: str, silence: float | None = None) -> Request:
        """What belongs to a job: its `events`, `attempts`, or the answer to `explain`."""
        return Request("GET", f"{self._job(job_id)}/{name}", silence=silence)

    def watch(self, job_id: str, until: str, last_event_id: str | None, silence: float) -> Request:
        """Transitions and states as they come, from the one after `last_event_id`."""
        headers = {"accept": "text/event-stream", **_AS_STORED}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        return Request("GET", f"{self._job(job_id)}/watch", (("until", until),), headers, silence=silence)

    def log(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        span: str | None = None,
        follow: bool = False,
    ) -> Request:
        """A log's bytes; `span` is the value of a `Range` header without its unit."""
        given = {"attempt": attempt, "tail": tail, "follow": "true" if follow else None}
        params = tuple((key, str(value)) for key, value in given.items() if value is not None)
        headers = _AS_STORED | ({"range": f"bytes={span}"} if span is not None else {})
        silence = FOLLOW_SILENCE if follow else None
        return Request("GET", f"{self._job(job_id)}/logs", params, headers, silence=silence)

    def has_package(self, ref: str) -> Request:
        """Whether a package is stored."""
        return Request("HEAD", f"{self._base}/packages/{_segment(ref)}")

    def put_package(self, ref: str, path: Path, **more: Any) -> Request:
        """Store a package."""
        headers = {"content-type": "application/zip"}
        return Request("PUT", f"{self._base}/packages/{_segment(ref)}", headers=headers, content=path, **more)

    def upload_offset(self, ref: str) -> Request:
        """How far an upload in parts has come."""
        return Request("HEAD", f"{self._base}/packages/{_segment(ref)}/upload")

    def put_part(self, ref: str, path: Path, span: tuple[int, int], *, complete: bool, **more: Any) -> Request:
        """Send the bytes of `span`, from the first up to, and without, the second; `complete`: they are the last."""
        headers = {
            "content-type": "application/partial-upload",
            "upload-offset": str(span[0]),
            "upload-complete": "?1" if complete else "?0",
        }
        path_of_upload = f"{self._base}/packages/{_segment(ref)}/upload"
        return Request("PATCH", path_of_upload, headers=headers, content=path, span=span, **more)

    def _job(self, job_id: str) -> str:
        if not JOB_ID.fullmatch(job_id):
            msg = f"There is no job {job_id!r}: an id is `job-` and 26 letters and digits, as `dartjobs list` shows it."
            raise NotFoundError(msg)
        return f"{self._base}/jobs/{job_id}"


def health() -> Request:
    """Whether the server lives."""
    return Request("GET", "/healthz")


def version() -> Request:
    """What the server is."""
    return Request("GET", "/api/v1/version")


def clusters() -> Request:
    """Every cluster."""
    return Request("GET", "/api/v1/clusters")


def cluster(name: str) -> Request:
    """One cluster."""
    return Request("GET", f"/api/v1/clusters/{_segment(name)}")


def change_cluster(name: str, verb: str, body: Json | None) -> Request:
    """`cordon`, `uncordon`, `drain`, `lost` or `readmit`; to say it twice does no harm."""
    return _post(f"/api/v1/clusters/{_segment(name)}/{verb}", body)


def add_cluster(name: str, settings: Json, *, replace: bool) -> Request:
    """Register it with these settings."""
    params = (("replace", "true"),) if replace else ()
    return Request("PUT", f"/api/v1/clusters/{_segment(name)}", params, _JSON, json.dumps(settings).encode())


def remove_cluster(name: str) -> Request:
    """Forget it."""
    return Request("DELETE", f"/api/v1/clusters/{_segment(name)}")


def _post(path: str, body: Json | None, params: Params = (), *, key: str | None = None) -> Request:
    headers = {} if key is None else {"idempotency-key": _checked_key(key)}
    if body is None:
        return Request("POST", path, params, headers, b"")
    return Request("POST", path, params, headers | _JSON, json.dumps(body).encode())


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        msg = f"{key!r} is no idempotency key: it has 1 to 255 printable characters of ASCII"
        raise InvalidRequestError(msg)
    return key


def _segment(text: str) -> str:
    """One segment of a path, which a name from elsewhere must not leave.

    Raises:
        InvalidRequestError: nothing has such a name.
    """
    if not _SEGMENT.fullmatch(text) or text.strip(".") == "":
        msg = f"{text!r} names no namespace, cluster or package: those are of letters, digits, -, _ and ."
        raise InvalidRequestError(msg)
    return text
