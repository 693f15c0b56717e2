"""Watch a job by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import Id, Namespace, UsesPlatform
from dartjobs.models.job import Job, Transition
from dartjobs.models.problem import InvalidRequestError
from dartjobs.services import jobs
from dartjobs.services.watch import Until, watch

router = APIRouter(tags=["jobs"])
_EVENT_ID = re.compile(r"(\d{1,9})\.(\d{1,9})")
_KEEP_ALIVE_SECONDS = 15.0


@router.get("/jobs/{job_id}/watch", response_class=StreamingResponse)
async def watch_job(
    namespace: Namespace,
    job_id: Id,
    platform: UsesPlatform,
    _who: Annotated[Principal, allow("jobs:read")],
    until: Until = Until.FINISHED,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """`transition` events with ids, each batch followed by a `job` event; ends as `until` says."""
    await jobs.get(platform, namespace, job_id)
    changes = watch(platform, namespace, job_id, _parse_event_id(last_event_id), until)
    return StreamingResponse(_events(changes), headers=_HEADERS, media_type="text/event-stream")


_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _events(changes: AsyncIterator[Transition | Job | None]) -> AsyncIterator[str]:
    sent = time.monotonic()
    async for change in changes:
        match change:
            case Transition():
                event = (
                    f"event: transition\nid: {change.attempt}.{change.version}\ndata: {change.model_dump_json()}\n\n"
                )
            case Job():
                event = f"event: job\ndata: {change.model_dump_json(by_alias=True)}\n\n"
            case None if time.monotonic() - sent < _KEEP_ALIVE_SECONDS:
                continue
            case None:
                event = ": still here\n\n"
        sent = time.monotonic()
        yield event


def _parse_event_id(text: str | None) -> tuple[int, int]:
    if not text:
        return 0, 0
    match = _EVENT_ID.fullmatch(text)
    if match is None:
        msg = f"Last-Event-ID {text!r} is none of ours: they look like 1.4."
        raise InvalidRequestError(msg)
    return int(match[1]), int(match[2])
