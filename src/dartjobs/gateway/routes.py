"""The protocol that runners speak: start, heartbeat, logs, exit."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from dartjobs.gateway.reports import Reports
from dartjobs.services.tokens import is_attempt_token

router = APIRouter(prefix="/v1/attempts/{attempt_id}")


class StartReport(BaseModel):
    """The runner is about to start the entrypoint."""

    model_config = ConfigDict(extra="forbid")

    head_uid: str = Field(max_length=64)
    pid: int


class ExitReport(BaseModel):
    """The entrypoint ended, and its log was pushed up to `log_end`."""

    model_config = ConfigDict(extra="forbid")

    code: int = Field(ge=0, le=255)
    signal: str | None = Field(default=None, max_length=16)
    stopping: bool = False
    log_end: int = Field(ge=0)
    error: str | None = Field(default=None, max_length=4_096)


class LogEnd(BaseModel):
    """How far the log is stored."""

    end: int


async def _authorized(attempt_id: str, request: Request) -> Reports:
    state = request.app.state
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not is_attempt_token(state.secret, state.installation, attempt_id, token):
        raise HTTPException(401, "not this attempt's token")
    reports: Reports = state.reports
    if not await reports.accepts(attempt_id):
        raise HTTPException(410, "this attempt is over")
    return reports


Accepted = Annotated[Reports, Depends(_authorized)]


@router.post("/start", status_code=204)
async def start(attempt_id: str, body: StartReport, reports: Accepted) -> None:
    """204: go ahead; 409: another runner has started this attempt, do not start it again."""
    if not await reports.start(attempt_id, body.head_uid, body.pid):
        raise HTTPException(409, "this attempt was already started")


@router.post("/heartbeat", status_code=204)
async def heartbeat(attempt_id: str, reports: Accepted) -> None:
    """The runner lives."""
    reports.heartbeat(attempt_id)


@router.post("/logs/driver")
async def logs(attempt_id: str, request: Request, reports: Accepted, offset: Annotated[int, Query(ge=0)]) -> LogEnd:
    """Store bytes of the log from `offset`; go on from the `end` that is answered."""
    limit = request.app.state.settings.push_limit
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise HTTPException(413, f"at most {limit} bytes at once")
    return LogEnd(end=await reports.push(attempt_id, offset, bytes(data)))


@router.post("/exit", status_code=204, response_class=Response)
async def exit_(attempt_id: str, body: ExitReport, reports: Accepted) -> None:
    """The end of the driver; the first report stands."""
    await reports.exit(attempt_id, body.model_dump())
