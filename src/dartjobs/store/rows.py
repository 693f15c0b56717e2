"""Rows to models and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, SupportsInt

from pydantic import ValidationError
from sqlalchemy import Row

from dartjobs.core.queueing import Resources
from dartjobs.core.world import Evidence, Exited, Started
from dartjobs.models.job import Attempt, Job, RequeueIntent, StopIntent, SubmitIntent, Transition
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store import tables

_UNREADABLE = "(unreadable)"
_ENUMS = {
    "resource_state": ResourceState,
    "job_state": JobState,
    "from_resource_state": ResourceState,
    "from_job_state": JobState,
    "reason": Reason,
    "stop_cause": Reason,
    "category": Category,
}
_OF_THE_QUEUE = {"namespace", "queue_rank", "cpu_milli", "memory", "gpu", "selector", "due_at"}
_PLAIN_ATTEMPT = [
    column.name
    for column in tables.attempts.c
    if not column.name.startswith("intent_") and column.name not in _OF_THE_QUEUE
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
        spec=_spec(job["spec"]),
        submitted_at=job["submitted_at"],
        finished_at=job["finished_at"],
        stop=stop_of(job),
        requeue=requeue_of(job),
        retry_of=job["retry_of"],
        attempt=attempt,
    )


def _spec(body: dict[str, Any]) -> JobSpec:
    try:
        return JobSpec.model_validate(body)
    except ValidationError:
        return spec_of(json.dumps(body))[0]


@lru_cache(maxsize=1_024)
def spec_of(text: str) -> tuple[JobSpec, str | None]:
    """A stored specification, and what of it cannot be read: those fields have their defaults then.

    It was valid when it was stored; a damaged row, or one that a newer release wrote, must still be stopped and ended.
    """
    try:
        return JobSpec.model_validate_json(text), None
    except ValidationError as error:
        why = str(error)
        wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
    readable = {name: value for name, value in _fields(text).items() if name not in wrong}
    try:
        return JobSpec.model_validate({"entrypoint": _UNREADABLE} | readable), why
    except ValidationError:
        return JobSpec(entrypoint=_UNREADABLE), why


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def stop_of(job: Mapping[str, Any]) -> StopIntent | None:
    """The job's stop, if somebody asked for one."""
    if job["stop_at"] is None:
        return None
    return StopIntent(at=job["stop_at"], by=job["stop_by"], reason=job["stop_reason"] or "")


def requeue_of(job: Mapping[str, Any]) -> RequeueIntent | None:
    """The wish to run an attempt of the job anew, if somebody had one."""
    if job["requeue_at"] is None:
        return None
    return RequeueIntent(
        attempt=job["requeue_attempt"], at=job["requeue_at"], by=job["requeue_by"], reason=job["requeue_reason"] or ""
    )


def resources_of(cpu_milli: SupportsInt | None, memory: SupportsInt | None, gpu: SupportsInt | None) -> Resources:
    """Resources of columns, or of the sums of columns, which are NULL where there are no rows."""
    cpu, memory, gpu = int(cpu_milli or 0), int(memory or 0), int(gpu or 0)
    return Resources(Decimal(cpu) / 1_000, memory, gpu)


def transition_of(row: Row[Any]) -> Transition:
    """One move."""
    names = [name for name in tables.transitions.c.keys() if name != "job_id"]  # noqa: SIM118 - columns, not a dict
    values: dict[str, Any] = {name: _typed(name, row._mapping[name]) for name in names}
    return Transition.model_construct(**values)


def evidence_of(rows: Mapping[str, tuple[datetime, dict[str, Any]]]) -> Evidence:
    """What the runner reported, of `kind -> (at, body)`."""
    start, end, silence, log = rows.get("start"), rows.get("exit"), rows.get("silence"), rows.get("log_end")
    return Evidence(
        start=None if start is None else Started(start[0], start[1]["head_uid"]),
        exit=None if end is None else _exited(end[0], end[1]),
        silent_since=None if silence is None else silence[0],
        log_end=None if log is None else int(log[1]["bytes"]),
    )


def _exited(at: datetime, body: dict[str, Any]) -> Exited:
    return Exited(at, body["code"], body.get("signal"), stopping=body.get("stopping", False), error=body.get("error"))


def _typed(name: str, value: object) -> object:
    kind = _ENUMS.get(name)
    return value if kind is None or value is None else kind(str(value))
