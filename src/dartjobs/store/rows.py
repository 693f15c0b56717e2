"""Rows to models and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from dartjobs.core.world import Evidence, Exited, Started
from dartjobs.models.job import Attempt, Job, StopIntent, SubmitIntent, Transition
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store import tables

_ENUMS = {
    "resource_state": ResourceState,
    "job_state": JobState,
    "from_resource_state": ResourceState,
    "from_job_state": JobState,
    "reason": Reason,
    "stop_cause": Reason,
    "category": Category,
}
_PLAIN_ATTEMPT = [
    column.name for column in tables.attempts.c if not column.name.startswith("intent_") and column.name != "priority"
]


def attempt_of(row: Row[Any] | Mapping[str, Any]) -> Attempt:
    """An attempt of a row that has all columns of `attempts`, under their own names."""
    values = row if isinstance(row, Mapping) else row._mapping
    intent = None
    if values["intent_submission_id"] is not None:
        intent = SubmitIntent.model_construct(
            submission_id=values["intent_submission_id"],
            cluster_uid=values["intent_cluster_uid"],
            head_uid=values["intent_head_uid"],
            at=values["intent_at"],
        )
    plain: dict[str, Any] = {name: _typed(name, values[name]) for name in _PLAIN_ATTEMPT}
    return Attempt.model_construct(**plain, submit_intent=intent)


def job_of(job: Mapping[str, Any], attempt: Attempt) -> Job:
    """A job of its row and its latest attempt."""
    return Job(
        id=job["id"],
        namespace=job["namespace"],
        name=job["name"],
        user=job["user"],
        spec=JobSpec.model_validate(job["spec"]),
        submitted_at=job["submitted_at"],
        finished_at=job["finished_at"],
        stop=stop_of(job),
        attempt=attempt,
    )


def stop_of(job: Mapping[str, Any]) -> StopIntent | None:
    """The job's stop, if somebody asked for one."""
    if job["stop_at"] is None:
        return None
    return StopIntent(at=job["stop_at"], by=job["stop_by"], reason=job["stop_reason"] or "")


def transition_of(row: Row[Any]) -> Transition:
    """One move."""
    names = [name for name in tables.transitions.c.keys() if name != "job_id"]  # noqa: SIM118 - columns, not a dict
    values: dict[str, Any] = {name: _typed(name, row._mapping[name]) for name in names}
    return Transition.model_construct(**values)


def evidence_of(rows: Mapping[str, tuple[datetime, dict[str, Any]]]) -> Evidence:
    """What the runner reported, of `kind -> (at, body)`."""
    start, end, beat, log = rows.get("start"), rows.get("exit"), rows.get("heartbeat"), rows.get("log_end")
    return Evidence(
        start=None if start is None else Started(start[0], start[1]["head_uid"]),
        exit=None if end is None else _exited(end[0], end[1]),
        heartbeat_at=None if beat is None else beat[0],
        log_end=None if log is None else int(log[1]["bytes"]),
    )


def _exited(at: datetime, body: dict[str, Any]) -> Exited:
    return Exited(at, body["code"], body.get("signal"), stopping=body.get("stopping", False), error=body.get("error"))


def _typed(name: str, value: object) -> object:
    kind = _ENUMS.get(name)
    return value if kind is None or value is None else kind(str(value))
