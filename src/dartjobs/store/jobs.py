"""Jobs: submit, read, list, stop."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import demand
from dartjobs.models.job import Job, Transition
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import INITIAL, JobState
from dartjobs.store import tables
from dartjobs.store.audit import record_audit
from dartjobs.store.database import now
from dartjobs.store.rows import attempt_of, job_of, transition_of
from dartjobs.store.tables import attempts, job_labels, jobs, transitions
from dartjobs.store.wakeups import wake_job


@dataclass(frozen=True, slots=True)
class NewJob:
    """A submission that was validated and not yet recorded."""

    id: str
    namespace: str
    user: str
    spec: JobSpec
    retry_of: str | None = None
    """The finished job whose specification this one repeats."""


def attempt_id(job_id: str, number: int) -> str:
    """An attempt's id, from which the names of all that is created for it are derived."""
    return f"{job_id}-{number}"


async def insert_job(conn: AsyncConnection, new: NewJob) -> None:
    """Record a job, its labels, its first attempt, its first transition and the audit row."""
    at, spec = await now(conn), new.spec
    row = {
        "id": new.id,
        "namespace": new.namespace,
        "name": spec.name,
        "user": new.user,
        "priority": spec.priority,
        "spec": spec.model_dump(mode="json", by_alias=True),
        "submitted_at": at,
        "latest": 1,
        "package": spec.runtime_env.working_dir,
        "retry_of": new.retry_of,
    }
    await conn.execute(insert(jobs).values(row))
    if spec.labels:
        labels = [
            {"job_id": new.id, "key": key, "value": value, "namespace": new.namespace}
            for key, value in spec.labels.items()
        ]
        await conn.execute(insert(job_labels), labels)
    await insert_attempt(conn, first_attempt(new, at), actor=new.user)
    await record_audit(conn, at, new.user, "submit", namespace=new.namespace, job_id=new.id)


def first_attempt(new: NewJob, at: datetime) -> dict[str, Any]:
    """The row of a new job's first attempt."""
    need = demand(new.spec)
    return {
        "id": attempt_id(new.id, 1),
        "job_id": new.id,
        "number": 1,
        "namespace": new.namespace,
        "queue_rank": -new.spec.priority,
        "cpu_milli": int(need.cpu * 1_000),
        "memory": need.memory,
        "gpu": need.gpu,
        "selector": new.spec.cluster_selector or None,
        "due_at": at,
        "created_at": at,
        "entered_at": at,
        "not_before": None,
    }


def next_attempt(row: Mapping[str, Any], at: datetime, not_before: datetime) -> dict[str, Any]:
    """The row of the attempt that follows this one: what it needs is the same."""
    same = ("job_id", "namespace", "queue_rank", "cpu_milli", "memory", "gpu", "selector")
    number = row["number"] + 1
    fresh = {"id": attempt_id(row["job_id"], number), "number": number, "created_at": at, "entered_at": at}
    return {name: row[name] for name in same} | fresh | {"due_at": at, "not_before": not_before}


async def insert_attempt(conn: AsyncConnection, row: dict[str, Any], *, actor: str) -> None:
    """Record a new attempt, queued, with its first transition."""
    reason = Reason.SUBMITTED if row["number"] == 1 else Reason.RETRIED
    both = {"resource_state": INITIAL.resource_state.value, "job_state": INITIAL.job_state.value}
    common = {"version": 1, "reason": reason.value, "message": "", "job_id": row["job_id"], **both}
    await conn.execute(insert(attempts).values(row | common | {"blind_at_entry": 0.0}))
    history = {"attempt_id": row["id"], "attempt": row["number"], "actor": actor, "evidence": {}}
    await conn.execute(insert(transitions).values(**common, **history, at=row["created_at"]))


def _latest() -> Select[Any]:
    on_latest = and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.latest)
    columns = [column.label(f"job__{column.name}") for column in jobs.c]
    return select(*attempts.c, *columns).join_from(jobs, attempts, on_latest)


def _job_of_joined(row: Row[Any]) -> Job:
    values = row._mapping
    return job_of({column.name: values[f"job__{column.name}"] for column in jobs.c}, attempt_of(row))


async def get_job(conn: AsyncConnection, namespace: str, job_id: str) -> Job | None:
    """A job with its latest attempt; None where this namespace has none of that id."""
    row = (await conn.execute(_latest().where(jobs.c.id == job_id, jobs.c.namespace == namespace))).first()
    return None if row is None else _job_of_joined(row)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which jobs to list, newest first."""

    namespace: str
    limit: int
    states: Collection[JobState] = ()
    name: str | None = None
    before: str | None = None
    """Only jobs older than this id: the cursor."""


async def list_jobs(conn: AsyncConnection, query: ListQuery) -> list[Job]:
    """A page of jobs, newest first; one more than `limit` where there are more."""
    statement = _latest().where(jobs.c.namespace == query.namespace)
    if query.states:
        statement = statement.where(attempts.c.job_state.in_([state.value for state in query.states]))
    if query.name is not None:
        statement = statement.where(jobs.c.name == query.name)
    if query.before is not None:
        statement = statement.where(jobs.c.id < query.before)
    rows = await conn.execute(statement.order_by(jobs.c.id.desc()).limit(query.limit + 1))
    return [_job_of_joined(row) for row in rows]


async def lock_job(conn: AsyncConnection, job_id: str) -> dict[str, Any] | None:
    """The job's row, locked until the end of the transaction: a stop and a retry cannot pass each other."""
    row = (await conn.execute(select(jobs).where(jobs.c.id == job_id).with_for_update())).first()
    return None if row is None else dict(row._mapping)


async def request_stop(
    conn: AsyncConnection, namespace: str, job_id: str, *, by: str, reason: str
) -> tuple[Job, str | None] | None:
    """Record the intent to stop on the job's row, once, and wake the cluster that has claimed it.

    A job that is over is left as it is. Answers the job and that cluster's name; None: there is no such job.
    """
    row = await lock_job(conn, job_id)
    if row is None or row["namespace"] != namespace:
        return None
    if row["finished_at"] is None and row["stop_at"] is None:
        at = await now(conn)
        await conn.execute(update(jobs).where(jobs.c.id == job_id).values(stop_at=at, stop_by=by, stop_reason=reason))
        await record_audit(conn, at, by, "stop", namespace=namespace, job_id=job_id, detail=reason)
    job = await get_job(conn, namespace, job_id)
    return None if job is None else (job, await wake_job(conn, job_id))


async def list_transitions(
    conn: AsyncConnection, namespace: str, job_id: str, *, limit: int = 10_000
) -> list[Transition] | None:
    """A job's moves, by attempt and version; None where this namespace has no such job."""
    if await conn.scalar(select(jobs.c.namespace).where(jobs.c.id == job_id)) != namespace:
        return None
    order = (transitions.c.attempt, transitions.c.version)
    statement = select(tables.transitions).where(transitions.c.job_id == job_id).order_by(*order).limit(limit)
    return [transition_of(row) for row in await conn.execute(statement)]
