"""Watch a job by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from dartjobs.api.auth import Principal, allow
from dartjobs.api.routes.common import Id, Namespace, UsesPlatform
from dartjobs.models.job import Job
from dartjobs.services import jobs
from dartjobs.services.watch import Moved, Until, parse_event_id

router = APIRouter(tags=["jobs"])
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events, until the job is over."}
}


@router.get("/jobs/{job_id}/watch", response_class=StreamingResponse, responses=_STREAM)
async def watch_job(
    namespace: Namespace,
    job_id: Id,
    platform: UsesPlatform,
    _who: Annotated[Principal, allow("jobs:read")],
    until: Until = Until.FINISHED,
    last_event_id: Annotated[str | None, Header(description="Of the last event that was received.")] = None,
) -> StreamingResponse:
    """`transition` events with ids, each batch followed by a `job` event; ends as `until` says."""
    parse_event_id(last_event_id)
    await jobs.get(platform, namespace, job_id)
    changes = platform.watches.watch(namespace, job_id, last_event_id, until)
    return StreamingResponse(_events(changes), headers=_HEADERS, media_type="text/event-stream")


async def _events(changes: AsyncIterator[Moved | Job | None]) -> AsyncIterator[str]:
    async for change in changes:
        match change:
            case Moved():
                yield f"event: transition\nid: {change.id}\ndata: {change.move.model_dump_json()}\n\n"
            case Job():
                yield f"event: job\ndata: {change.model_dump_json(by_alias=True)}\n\n"
            case None:
                yield ": still here\n\n"
