"""Submissions: many in one transaction, each with its idempotency key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import demand
from dartjobs.models.problem import DartJobsError, FieldProblem, PackageNotFoundError
from dartjobs.models.spec import JobSpec
from dartjobs.store import idempotency, packages
from dartjobs.store.database import Database, may_be_committed, now
from dartjobs.store.idempotency import Kept, Key
from dartjobs.store.jobs import attempt_id, new_attempt
from dartjobs.store.tables import attempts, audit, job_labels, jobs, transitions

WORKING_DIR = "runtime_env.working_dir"
_BAD_ROW = (DataError, IntegrityError, ArithmeticError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A submission that was validated and not yet recorded."""

    id: str
    namespace: str
    user: str
    spec: JobSpec
    retry_of: str | None = None
    """The finished job whose specification this one repeats."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What one request submits: one job, or a batch of them."""

    jobs: Sequence[NewJob | None]
    """None keeps the place of an item of a batch that was refused before."""
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a submission."""

    job_ids: Sequence[str]
    """Of its jobs, in their order, empty for one that was refused; of the first request's, where it was replayed."""
    at: datetime
    replayed: bool = False
    mismatch: bool = False
    """Its key was used for another body: nothing was recorded."""
    refused: dict[str, DartJobsError] = field(default_factory=dict)
    """By id, the jobs whose package is absent, or whose rows the database does not take."""


class BadRowError(DartJobsError):
    """The database does not take this job."""


async def record_all(database: Database, submissions: Sequence[Submission]) -> list[Recorded]:
    """Record submissions in one transaction; one that the database does not take does not hinder the others.

    Raises:
        UnavailableError: the database cannot be reached. None is recorded.
    """
    try:
        return await database.write(partial(record, submissions=submissions))
    except _BAD_ROW:
        return await database.write(partial(record, submissions=submissions, singly=True))


async def record(conn: AsyncConnection, submissions: Sequence[Submission], *, singly: bool = False) -> list[Recorded]:
    """Record every submission whose key is new, in one transaction; answers for each.

    A few statements whatever their number. With `singly` each job is inserted by itself, and one that the database
    refuses does not hinder the others: much slower, and needed only after the quick way failed.
    """
    at = await now(conn)
    news = [job for one in submissions for job in one.jobs if job is not None]
    committed = await _committed(conn, news) if may_be_committed(conn) else {}
    kept = await idempotency.find(conn, [one.key for one in submissions if one.key is not None])
    absent = await _absent_packages(conn, news)
    found: list[Recorded] = []
    fresh: list[NewJob] = []
    for one in submissions:
        known = None if one.key is None else kept.get(one.key.place)
        if one.key is not None and known is not None:
            found.append(_known(one, one.key, known, committed, at, absent))
            continue
        wanted = [job for job in one.jobs if job is not None and job.id not in committed]
        refused: dict[str, DartJobsError] = {job.id: _absent(job) for job in wanted if _package(job) in absent}
        wanted = [job for job in wanted if job.id not in refused]
        refused |= await _insert_singly(conn, wanted, at) if singly else {}
        fresh.extend([] if singly else wanted)
        ids = ["" if job is None or job.id in refused else job.id for job in one.jobs]
        found.append(Recorded(ids, _moment(ids, committed, at), refused=refused))
        if one.key is not None and any(ids):
            kept[one.key.place] = Kept(one.key.body_hash, ids, fresh=True)
    await _insert(conn, fresh, at)
    await idempotency.keep(conn, {place: one for place, one in kept.items() if one.fresh}, at)
    return found


def _known(
    one: Submission,
    key: Key,
    known: Kept,
    committed: Mapping[str, datetime],
    at: datetime,
    absent: set[tuple[str, str]],
) -> Recorded:
    """What a key led to: an earlier request, or this one, whose commit was made although its reply was lost."""
    mine = [job for job in one.jobs if job is not None]
    replayed = not any(job.id in committed for job in mine)
    refused: dict[str, DartJobsError] = (
        {} if replayed else {job.id: _refusal(job, absent) for job in mine if job.id not in known.job_ids}
    )
    mismatch = known.body_hash != key.body_hash
    at = _moment(known.job_ids, committed, at)
    return Recorded(known.job_ids, at, replayed=replayed, mismatch=mismatch, refused=refused)


def _refusal(job: NewJob, absent: set[tuple[str, str]]) -> DartJobsError:
    return _absent(job) if _package(job) in absent else BadRowError("The database does not take this job.")


def _moment(ids: Sequence[str], committed: Mapping[str, datetime], at: datetime) -> datetime:
    return next((committed[place] for place in ids if place in committed), at)


async def _committed(conn: AsyncConnection, news: Sequence[NewJob]) -> dict[str, datetime]:
    """Those that an earlier run of this transaction recorded, whose commit got no reply; when, by id."""
    mine = select(jobs.c.id, jobs.c.submitted_at).where(jobs.c.id.in_([new.id for new in news]))
    return {row.id: row.submitted_at for row in await conn.execute(mine)}


async def _absent_packages(conn: AsyncConnection, news: Sequence[NewJob]) -> set[tuple[str, str]]:
    """Those that are not stored. The others are used from here on: in one order, so that nobody waits in a circle."""
    wanted = sorted({place for new in news if (place := _package(new)) is not None})
    return {place for place in wanted if not await packages.touch(conn, *place)}


def _package(new: NewJob) -> tuple[str, str] | None:
    ref = new.spec.runtime_env.working_dir
    return None if ref is None else (new.namespace, ref)


def _absent(new: NewJob) -> PackageNotFoundError:
    ref = new.spec.runtime_env.working_dir
    detail = f"{ref} is not in namespace {new.namespace}: upload it with PUT …/packages/{ref}, then submit again"
    return PackageNotFoundError(errors=[FieldProblem(field=WORKING_DIR, detail=detail)])


async def _insert_singly(conn: AsyncConnection, news: Sequence[NewJob], at: datetime) -> dict[str, DartJobsError]:
    refused: dict[str, DartJobsError] = {}
    for new in news:
        try:
            async with conn.begin_nested():
                await _insert(conn, [new], at)
        except _BAD_ROW as error:
            refused[new.id] = BadRowError(f"The database does not take this job: {error}")
    return refused


async def _insert(conn: AsyncConnection, news: Sequence[NewJob], at: datetime) -> None:
    if not news:
        return
    firsts = [new_attempt(first_attempt(new, at), actor=new.user) for new in news]
    await conn.execute(insert(jobs), [_job_row(new, at) for new in news])
    labels = [
        {"job_id": new.id, "key": key, "value": value, "namespace": new.namespace}
        for new in news
        for key, value in new.spec.labels.items()
    ]
    if labels:
        await conn.execute(insert(job_labels), labels)
    await conn.execute(insert(attempts), [attempt for attempt, _ in firsts])
    await conn.execute(insert(transitions), [transition for _, transition in firsts])
    await conn.execute(insert(audit), [_audit_row(new, at) for new in news])


def _job_row(new: NewJob, at: datetime) -> dict[str, Any]:
    spec = new.spec
    return {
        "id": new.id,
        "namespace": new.namespace,
        "name": spec.name,
        "user": new.user,
        "priority": spec.priority,
        "spec": spec,
        "submitted_at": at,
        "latest": 1,
        "package": spec.runtime_env.working_dir,
        "retry_of": new.retry_of,
    }


def _audit_row(new: NewJob, at: datetime) -> dict[str, Any]:
    action = "submit" if new.retry_of is None else "retry"
    detail = new.retry_of or ""
    return {
        "at": at,
        "actor": new.user,
        "action": action,
        "namespace": new.namespace,
        "job_id": new.id,
        "detail": detail,
    }


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
