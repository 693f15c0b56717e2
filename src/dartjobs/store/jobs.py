"""Jobs: submit, read, list, stop."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.job import Attempt, Job, Transition
from dartjobs.models.problem import NotRunningError
from dartjobs.models.reason import Reason
from dartjobs.models.state import INITIAL
from dartjobs.store import tables
from dartjobs.store.audit import record_audit
from dartjobs.store.database import now
from dartjobs.store.rows import attempt_of, job_of, transition_of
from dartjobs.store.tables import attempts, jobs, transitions
from dartjobs.store.wakeups import put_wakeup, wake_job

_LOOKS = 10
_INITIALLY = {
    "version": 1,
    "message": "",
    "resource_state": INITIAL.resource_state.value,
    "job_state": INITIAL.job_state.value,
}


def attempt_id(job_id: str, number: int) -> str:
    """An attempt's id, from which the names of all that is created for it are derived."""
    return f"{job_id}-{number}"


def next_attempt(
    row: Mapping[str, Any], at: datetime, not_before: datetime, avoid: str | None = None
) -> dict[str, Any]:
    """The row of the attempt that follows this one: what it needs is the same; `avoid` is a cluster."""
    same = ("job_id", "namespace", "queue_rank", "cpu_milli", "memory", "gpu", "selector")
    number = row["number"] + 1
    fresh = {"id": attempt_id(row["job_id"], number), "number": number, "created_at": at, "entered_at": at}
    return {name: row[name] for name in same} | fresh | {"due_at": at, "not_before": not_before, "avoid": avoid}


def new_attempt(row: Mapping[str, Any], *, actor: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole row of a new attempt, queued, and the row of its first transition."""
    reason = Reason.SUBMITTED if row["number"] == 1 else Reason.RETRIED
    common = {**_INITIALLY, "reason": reason.value, "job_id": row["job_id"]}
    history = {"attempt_id": row["id"], "attempt": row["number"], "actor": actor, "evidence": {}}
    return {**row, **common, "blind_at_entry": 0.0}, {**common, **history, "at": row["created_at"]}


async def insert_attempt(conn: AsyncConnection, row: dict[str, Any], *, actor: str) -> None:
    """Record a new attempt, queued, with its first transition."""
    attempt, transition = new_attempt(row, actor=actor)
    await conn.execute(insert(attempts).values(attempt))
    await conn.execute(insert(transitions).values(transition))


def latest_attempts() -> Select[Any]:
    """Every job joined with its latest attempt, for `job_of_joined`."""
    on_latest = and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.latest)
    columns = [column.label(f"job__{column.name}") for column in jobs.c]
    return select(*attempts.c, *columns).join_from(jobs, attempts, on_latest)


def job_of_joined(row: Row[Any]) -> Job:
    """A job of a row of `latest_attempts`."""
    values = row._mapping
    return job_of({column.name: values[f"job__{column.name}"] for column in jobs.c}, attempt_of(row))


async def get_job(conn: AsyncConnection, namespace: str, job_id: str) -> Job | None:
    """A job with its latest attempt; None where this namespace has none of that id."""
    row = (await conn.execute(latest_attempts().where(jobs.c.id == job_id, jobs.c.namespace == namespace))).first()
    return None if row is None else job_of_joined(row)


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
        await _record_stops(conn, [job_id], at, by=by, reason=reason)
        await record_audit(conn, at, by, "stop", namespace=namespace, job_id=job_id, detail=reason)
    job = await get_job(conn, namespace, job_id)
    return None if job is None else (job, await wake_job(conn, job_id))


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of a stop of many jobs."""

    job_ids: list[str]
    """For which the stop is recorded, by this request or an earlier one."""
    clusters: set[str]
    """Those that have work to do now."""


async def request_stops(
    conn: AsyncConnection, namespace: str, job_ids: Collection[str], *, by: str, reason: str
) -> Stopped:
    """`request_stop` for many: jobs that are over, or of another namespace, are left out."""
    mine = jobs.c.id.in_(sorted(job_ids)) & (jobs.c.namespace == namespace) & jobs.c.finished_at.is_(None)
    locked = select(jobs.c.id, jobs.c.stop_at).where(mine).order_by(jobs.c.id).with_for_update()
    rows = (await conn.execute(locked)).all()
    fresh = [row.id for row in rows if row.stop_at is None]
    woken: set[str] = set()
    if fresh:
        at = await now(conn)
        await _record_stops(conn, fresh, at, by=by, reason=reason)
        for job_id in fresh:
            await record_audit(conn, at, by, "stop", namespace=namespace, job_id=job_id, detail=reason)
            cluster = await wake_job(conn, job_id)
            woken |= set() if cluster is None else {cluster}
    return Stopped([row.id for row in rows], woken)


async def _record_stops(conn: AsyncConnection, job_ids: Collection[str], at: datetime, *, by: str, reason: str) -> None:
    """On jobs whose rows are locked. A queued attempt is due at once: the controller ends it."""
    values = {"stop_at": at, "stop_by": by, "stop_reason": reason}
    await conn.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(values))
    queued = attempts.c.job_id.in_(job_ids) & (attempts.c.resource_state == INITIAL.resource_state.value)
    await conn.execute(update(attempts).where(queued).values(due_at=at))


async def request_requeue(
    conn: AsyncConnection, namespace: str, job_id: str, *, by: str, reason: str, number: int | None = None
) -> tuple[Job, str | None] | None:
    """Record on the job's row that its latest attempt is to end and to be queued anew; wake its cluster.

    Answers the job and the cluster to wake; None: there is no such job. With the attempt's `number` it may be
    repeated: a later attempt is left alone where that one was sent back.

    Raises:
        NotRunningError: the attempt is not claimed, or is over, or the job is to be stopped.
    """
    row = await lock_job(conn, job_id)
    if row is None or row["namespace"] != namespace:
        return None
    if number is not None and number != row["latest"]:
        job = await get_job(conn, namespace, job_id)
        if job is None or job.requeue is None or job.requeue.attempt < number:
            msg = f"Attempt {number} of job {job_id} is not its latest, which is attempt {row['latest']}."
            raise NotRunningError(msg)
        return job, None
    latest = (attempts.c.job_id == job_id) & (attempts.c.number == row["latest"])
    attempt = attempt_of((await conn.execute(select(attempts).where(latest))).one())
    if attempt.cluster is None or attempt.job_state.is_final or row["stop_at"] is not None:
        msg = f"Job {job_id} is {attempt.pair}: only one that a cluster works on, and nobody stops, is queued again."
        raise NotRunningError(msg)
    if row["requeue_attempt"] != attempt.number:
        at = await now(conn)
        values = {
            "requeue_attempt": attempt.number,
            "requeue_at": at,
            "requeue_by": by,
            "requeue_reason": reason,
        }
        await conn.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        await record_audit(conn, at, by, "requeue", namespace=namespace, job_id=job_id, detail=reason)
    await put_wakeup(conn, attempt.cluster, attempt.id)
    job = await get_job(conn, namespace, job_id)
    return None if job is None else (job, attempt.cluster)


async def list_attempts(conn: AsyncConnection, namespace: str, job_id: str) -> list[Attempt] | None:
    """A job's attempts, oldest first; None where this namespace has no such job."""
    if await conn.scalar(select(jobs.c.namespace).where(jobs.c.id == job_id)) != namespace:
        return None
    statement = select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
    return [attempt_of(row) for row in await conn.execute(statement)]


async def list_transitions(
    conn: AsyncConnection, namespace: str, job_id: str, *, limit: int = 10_000
) -> list[Transition] | None:
    """A job's moves, by attempt and version; None where this namespace has no such job."""
    if await conn.scalar(select(jobs.c.namespace).where(jobs.c.id == job_id)) != namespace:
        return None
    order = (transitions.c.attempt, transitions.c.version)
    statement = select(tables.transitions).where(transitions.c.job_id == job_id).order_by(*order).limit(limit)
    return [transition_of(row) for row in await conn.execute(statement)]


async def read_with_moves(conn: AsyncConnection, namespace: str, job_id: str) -> tuple[Job, list[Transition]] | None:
    """A job with all its moves, none newer than the job; None where this namespace has no such job.

    Where each statement sees its own moment, the job is read again until nothing came in between.
    """
    for look in range(_LOOKS):
        job = await get_job(conn, namespace, job_id)
        moves = await list_transitions(conn, namespace, job_id)
        if job is None or not moves:
            return None
        same = (moves[-1].attempt, moves[-1].version) == (job.attempt.number, job.attempt.version)
        if same or look == _LOOKS - 1:
            return job, moves
    raise AssertionError
