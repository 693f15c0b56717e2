"""Logs: a range, the tail, or what comes."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import Id, Namespace, UsesPlatform
from dartjobs.models.problem import InvalidRequestError
from dartjobs.services.logs import LogBody, LogQuery, open_log

router = APIRouter(tags=["logs"])
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@router.get("/jobs/{job_id}/logs", response_class=StreamingResponse)
async def read(
    namespace: Namespace,
    job_id: Id,
    platform: UsesPlatform,
    _who: Annotated[Principal, allow("logs:read")],
    *,
    attempt: Annotated[int | None, Query(ge=1, description="By default the latest.")] = None,
    tail: Annotated[int | None, Query(ge=0, le=1_000_000, description="Only the last lines.")] = None,
    follow: Annotated[bool, Query(description="Go on until the log is complete.")] = False,
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> StreamingResponse:
    """What the entrypoint wrote, byte for byte."""
    start, stop, suffix = _parse_range(range_)
    query = LogQuery(attempt, start, stop, suffix, tail, follow)
    body = await open_log(platform, namespace, job_id, query)
    status = 206 if range_ is not None else 200
    return StreamingResponse(body.chunks, status, _headers(body, ranged=range_ is not None), "application/octet-stream")


def _headers(body: LogBody, *, ranged: bool) -> dict[str, str]:
    headers = {
        "Dartjobs-Log-Offset": str(body.start),
        "Dartjobs-Log-Attempt": str(body.attempt),
        "Dartjobs-Log-Complete": "true" if body.complete else "false",
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    if body.stop is not None:
        headers["Content-Length"] = str(max(0, body.stop - body.start))
        if ranged:
            headers["Content-Range"] = f"bytes {body.start}-{max(body.start, body.stop - 1)}/{body.end}"
    return headers


def _parse_range(text: str | None) -> tuple[int | None, int | None, int | None]:
    if text is None:
        return None, None, None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        msg = f"Range {text!r}: write one range, as bytes=100-199, bytes=100- or bytes=-100."
        raise InvalidRequestError(msg)
    first, last = match.groups()
    if not first:
        return None, None, int(last)
    if last and int(last) < int(first):
        msg = f"Range {text!r} ends before it begins."
        raise InvalidRequestError(msg)
    return int(first), int(last) + 1 if last else None, None
