"""Attempts: read what `decide` needs, record what it decided, guarded by epoch and version."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Queued
from dartjobs.core.retries import REQUEUES, retry_at
from dartjobs.core.world import Evidence, Move, View
from dartjobs.models.job import Attempt, RequeueIntent, StopIntent, SubmitIntent
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState, is_legal_move
from dartjobs.store import evidence as evidence_store
from dartjobs.store.database import StaleError, now
from dartjobs.store.jobs import insert_attempt, lock_job, next_attempt
from dartjobs.store.leases import Lease, check_lease
from dartjobs.store.rows import attempt_of, requeue_of, resources_of, stop_of
from dartjobs.store.tables import attempts, clusters, jobs, transitions


class IllegalMoveError(Exception):
    """The transition table has no such move: a fault of this platform."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that the database knows about one attempt, at one moment."""

    attempt: Attempt
    namespace: str
    spec: JobSpec
    submitted_at: datetime
    stop: StopIntent | None
    requeue: RequeueIntent | None
    evidence: Evidence
    blind_seconds: float
    superseded: bool
    now: datetime


async def load(conn: AsyncConnection, attempt_id: str) -> Loaded | None:
    """Read an attempt with its job's intents and the runner's evidence; None if there is no such attempt."""
    row = (await conn.execute(select(attempts).where(attempts.c.id == attempt_id))).first()
    if row is None:
        return None
    attempt = attempt_of(row)
    job = (await conn.execute(select(jobs).where(jobs.c.id == attempt.job_id))).one()._mapping
    blind = await conn.scalar(select(clusters.c.blind_seconds).where(clusters.c.name == (attempt.cluster or "")))
    return Loaded(
        attempt=attempt,
        namespace=job["namespace"],
        spec=JobSpec.model_validate(job["spec"]),
        submitted_at=job["submitted_at"],
        stop=stop_of(dict(job)),
        requeue=requeue_of(dict(job)),
        evidence=await evidence_store.read_evidence(conn, attempt_id),
        blind_seconds=blind or 0.0,
        superseded=job["latest"] != attempt.number,
        now=await now(conn),
    )


async def queue(conn: AsyncConnection, limit: int = 1_000) -> list[Queued]:
    """The queue in its order: higher priority first, then older; without those that back off or are to be stopped."""
    statement = (
        select(attempts.c.id, attempts.c.cpu_milli, attempts.c.memory, attempts.c.gpu, attempts.c.selector)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.resource_state == ResourceState.QUEUED.value, jobs.c.stop_at.is_(None))
        .where((attempts.c.not_before.is_(None)) | (attempts.c.not_before <= await now(conn)))
        .order_by(attempts.c.queue_rank, attempts.c.id)
        .limit(limit)
    )
    return [
        Queued(row.id, resources_of(row.cpu_milli, row.memory, row.gpu), row.selector or {})
        for row in await conn.execute(statement)
    ]


async def queued_ids(conn: AsyncConnection) -> list[str]:
    """Every queued attempt."""
    return list(
        await conn.scalars(select(attempts.c.id).where(attempts.c.resource_state == ResourceState.QUEUED.value))
    )


async def live_ids(conn: AsyncConnection, cluster: str) -> list[str]:
    """Every attempt that this cluster has claimed and not finished with."""
    live = [state.value for state in ResourceState if state is not ResourceState.TERMINATED]
    return list(
        await conn.scalars(
            select(attempts.c.id).where(attempts.c.cluster == cluster, attempts.c.resource_state.in_(live))
        )
    )


async def stop_wanted_ids(conn: AsyncConnection) -> list[str]:
    """Every queued attempt whose job is to be stopped."""
    statement = (
        select(attempts.c.id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.resource_state == ResourceState.QUEUED.value, jobs.c.stop_at.is_not(None))
    )
    return list(await conn.scalars(statement))


async def cluster_of(conn: AsyncConnection, attempt_id: str) -> str | None:
    """The cluster that claimed the attempt."""
    return await conn.scalar(select(attempts.c.cluster).where(attempts.c.id == attempt_id))


async def claim(conn: AsyncConnection, lease: Lease, attempt_id: str, *, actor: str) -> None:
    """Take a queued attempt for the lease's cluster.

    Raises:
        StaleError: it is no longer queued, its job is to be stopped, or the lease is no longer ours.
    """
    await check_lease(conn, lease)
    row = (await conn.execute(select(attempts).where(attempts.c.id == attempt_id))).first()
    if row is None or row.resource_state != ResourceState.QUEUED.value:
        raise StaleError
    job = await lock_job(conn, row.job_id)
    if job is None or job["stop_at"] is not None:
        raise StaleError
    move = Move(Pair(ResourceState.CREATING, JobState.WAITING), Reason.CLAIMED, "", {}, {"cluster": lease.name})
    await _apply(conn, attempt_of(row), move, actor=actor)


async def record_move(conn: AsyncConnection, lease: Lease, view: View, move: Move, *, actor: str) -> None:
    """Record a move, the end of the job if it is that, or the next attempt, in one transaction.

    Locks are taken in one order: lease, job, attempt. The job's row is read again under its lock, so that a stop
    that came in the same instant wins against a retry.

    Raises:
        StaleError: the lease is no longer ours, or the attempt was changed by somebody else.
        IllegalMoveError: the table has no such move.
    """
    await check_lease(conn, lease)
    attempt = view.attempt
    becomes_final = move.target.job_state.is_final and not attempt.job_state.is_final
    job = await lock_job(conn, attempt.job_id) if becomes_final else None
    at = await _apply(conn, attempt, move, actor=actor)
    if job is None:
        return
    if move.reason in REQUEUES and job["stop_at"] is not None and view.stop is None:
        raise StaleError  # the stop came in between, and is the end's reason
    again = retry_at(_with_stop(view, job), move, await _spent(conn, attempt))
    if again is None:
        await conn.execute(update(jobs).where(jobs.c.id == attempt.job_id).values(finished_at=at))
        return
    row = (await conn.execute(select(attempts).where(attempts.c.id == attempt.id))).one()._mapping
    following = next_attempt(dict(row), at, again)
    await insert_attempt(conn, following, actor=actor)
    await conn.execute(update(jobs).where(jobs.c.id == attempt.job_id).values(latest=following["number"]))


async def record_intent(conn: AsyncConnection, lease: Lease, attempt: Attempt, intent: SubmitIntent) -> Attempt:
    """Commit that the driver may now be submitted to this head, and to no other.

    Raises:
        StaleError: the lease is lost, the attempt has changed, or is to be stopped or queued again.
    """
    await check_lease(conn, lease)
    job = await lock_job(conn, attempt.job_id)
    if job is None or job["stop_at"] is not None or job["requeue_attempt"] == attempt.number:
        raise StaleError
    values = {
        "intent_submission_id": intent.submission_id,
        "intent_cluster_uid": intent.cluster_uid,
        "intent_head_uid": intent.head_uid,
        "intent_at": await now(conn),
    }
    await _guarded_update(conn, attempt, values)
    return attempt.model_copy(update={"submit_intent": intent})


async def mark(conn: AsyncConnection, lease: Lease, attempt: Attempt, column: str) -> None:
    """Set `driver_seen_at` or `stop_sent_at` to now, with no move.

    Raises:
        StaleError: the lease is lost, or the attempt has changed.
    """
    await check_lease(conn, lease)
    await _guarded_update(conn, attempt, {column: await now(conn)})


async def _apply(conn: AsyncConnection, attempt: Attempt, move: Move, *, actor: str) -> datetime:
    if not is_legal_move(attempt.pair, move.target):
        msg = f"{attempt.id}: {attempt.pair} -> {move.target} ({move.reason})"
        raise IllegalMoveError(msg)
    at = await now(conn)
    changes = {name: value.value if isinstance(value, Enum) else value for name, value in move.changes.items()}
    both = {"resource_state": move.target.resource_state.value, "job_state": move.target.job_state.value}
    ends = move.target.job_state.is_final and not attempt.job_state.is_final
    message = move.message or ("" if not attempt.job_state.is_final else attempt.message)
    keeps_reason = attempt.job_state.is_final
    why = {
        "reason": (attempt.reason if keeps_reason else move.reason).value,
        "category": _category(attempt.category if keeps_reason else move.reason.category),
    }
    values: dict[str, Any] = {
        **both,
        **why,
        "message": message,
        "version": attempt.version + 1,
        "entered_at": at,
        **changes,
    }
    cluster = changes.get("cluster", attempt.cluster)
    values["blind_at_entry"] = (
        await conn.scalar(select(clusters.c.blind_seconds).where(clusters.c.name == (cluster or ""))) or 0.0
    )
    if ends:
        values["finished_at"] = at
    if move.target.resource_state is ResourceState.TERMINATED:
        values["terminated_at"] = at
    await _guarded_update(conn, attempt, values)
    await _insert_transition(conn, attempt, move, actor=actor, at=at)
    return at


async def _insert_transition(conn: AsyncConnection, attempt: Attempt, move: Move, *, actor: str, at: datetime) -> None:
    row = {
        "attempt_id": attempt.id,
        "version": attempt.version + 1,
        "job_id": attempt.job_id,
        "attempt": attempt.number,
        "from_resource_state": attempt.resource_state.value,
        "from_job_state": attempt.job_state.value,
        "resource_state": move.target.resource_state.value,
        "job_state": move.target.job_state.value,
        "reason": move.reason.value,
        "category": _category(move.reason.category),
        "message": move.message,
        "actor": actor,
        "evidence": move.evidence,
        "at": at,
    }
    await conn.execute(insert(transitions).values(row))


async def _guarded_update(conn: AsyncConnection, attempt: Attempt, values: dict[str, Any]) -> None:
    where = (attempts.c.id == attempt.id) & (attempts.c.version == attempt.version)
    result = await conn.execute(update(attempts).where(where).values(values))
    if result.rowcount != 1:
        raise StaleError


async def _spent(conn: AsyncConnection, attempt: Attempt) -> list[Category | None]:
    earlier = select(attempts.c.category).where(
        attempts.c.job_id == attempt.job_id,
        attempts.c.number < attempt.number,
        attempts.c.job_state == JobState.FAILED.value,
    )
    return [None if name is None else Category(name) for name in await conn.scalars(earlier)]


def _with_stop(view: View, job: dict[str, Any]) -> View:
    return replace(view, stop=stop_of(job))


def _category(category: Category | None) -> str | None:
    return None if category is None else category.value
