"""The requests of the API, built from plain arguments."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from dartjobs.client.effects import Request
from dartjobs.models.job import JobId, StopRequest
from dartjobs.models.problem import InvalidRequestError, NotFoundError
from dartjobs.models.spec import JobSpec

WATCH_SILENCE = 45.0
"""Seconds: three of the comment lines that keep a watch alive are missing."""
FOLLOW_SILENCE = 90.0
"""Seconds: the server ends a follow after 60 s without a byte."""
_SEGMENT = re.compile(r"[A-Za-z0-9:_-]{1,128}")
_JOB_ID = re.compile(get_args(JobId)[1].pattern)
_JSON = {"content-type": "application/json"}
_AS_STORED = {"accept-encoding": "identity"}
"""Offsets count the log's own bytes, so nobody on the way may compress them."""


class Requests:
    """Builds the requests of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._base = f"/api/v1/namespaces/{_segment(namespace)}"

    def submit(self, spec: JobSpec) -> Request:
        """Only what was set is sent, so that the server's own defaults fill the rest."""
        body = spec.model_dump_json(by_alias=True, exclude_unset=True).encode()
        return Request("POST", f"{self._base}/jobs", headers=_JSON, content=body)

    def page(self, states: Iterable[str], name: str | None, limit: int, cursor: str | None) -> Request:
        """One page of the list, newest first."""
        params = [("state", str(state)) for state in states]
        optional = {"name": name, "limit": str(limit), "cursor": cursor}
        params += [(key, value) for key, value in optional.items() if value is not None]
        return Request("GET", f"{self._base}/jobs", params=tuple(params))

    def get(self, job_id: str, silence: float | None = None) -> Request:
        """One job."""
        return Request("GET", self._job(job_id), silence=silence)

    def stop(self, job_id: str, reason: str) -> Request:
        """Ask for a stop."""
        body = StopRequest(reason=reason).model_dump_json().encode()
        return Request("POST", f"{self._job(job_id)}/stop", headers=_JSON, content=body)

    def events(self, job_id: str, silence: float | None = None) -> Request:
        """Every transition."""
        return Request("GET", f"{self._job(job_id)}/events", silence=silence)

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

    def put_package(self, ref: str, path: Path) -> Request:
        """Store a package."""
        headers = {"content-type": "application/zip"}
        return Request("PUT", f"{self._base}/packages/{_segment(ref)}", headers=headers, content=path)

    def _job(self, job_id: str) -> str:
        if not _JOB_ID.fullmatch(job_id):
            msg = f"There is no job {job_id!r}: an id is `job-` and 26 letters and digits, as `dartjobs list` shows it."
            raise NotFoundError(msg)
        return f"{self._base}/jobs/{job_id}"


def health() -> Request:
    """Whether the server lives."""
    return Request("GET", "/healthz")


def _segment(text: str) -> str:
    """One segment of a path, which a name from elsewhere must not leave.

    Raises:
        InvalidRequestError: nothing has such a name.
    """
    if not _SEGMENT.fullmatch(text):
        msg = f"{text!r} names no namespace and no package: those are of letters, digits, - and _"
        raise InvalidRequestError(msg)
    return text
