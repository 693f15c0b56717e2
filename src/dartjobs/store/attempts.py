"""Attempts: claim them (`store.claiming`), and record what was decided about them, guarded by epoch and version."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Update, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.retries import REQUEUES, avoided, retry_at
from dartjobs.core.world import Move, View
from dartjobs.models.job import Attempt, SubmitIntent
from dartjobs.models.reason import Category
from dartjobs.models.state import JobState, ResourceState, is_legal_move
from dartjobs.store.claiming import claim, claim_many
from dartjobs.store.database import StaleError, now
from dartjobs.store.jobs import insert_attempt, next_attempt
from dartjobs.store.leases import Lease, check_lease
from dartjobs.store.loading import Loaded, MalformedRowError, load, load_many
from dartjobs.store.moves import (
    Before,
    blind_seconds,
    insert_transitions,
    lock_attempts,
    lock_jobs,
    may_run,
    transition,
    values_of,
)
from dartjobs.store.rows import stop_of
from dartjobs.store.tables import attempts, jobs
from dartjobs.store.wakeups import Wakeup, delete_wakeups

__all__ = ["Loaded", "MalformedRowError", "claim", "claim_many", "load", "load_many"]


class IllegalMoveError(Exception):
    """The transition table has no such move: a fault of this platform."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A move to record."""

    view: View
    move: Move

    @property
    def attempt(self) -> Attempt:
        """As it was read."""
        return self.view.attempt

    @property
    def locks_job(self) -> bool:
        """It ends the attempt, so that a stop and a retry must not pass each other."""
        return self.move.target.job_state.is_final and not self.attempt.job_state.is_final


@dataclass(frozen=True, slots=True)
class Intended:
    """A submit intent to commit: the driver may be submitted to this head then, and to no other."""

    attempt: Attempt
    intent: SubmitIntent
    locks_job: bool = True


@dataclass(frozen=True, slots=True)
class Marked:
    """A column (`driver_seen_at`, `stop_sent_at`) to set to now, with no move."""

    attempt: Attempt
    column: str
    locks_job: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A wake-up that was answered."""

    wakeup: Wakeup


Change = Recorded | Intended | Marked | Answered


async def count_live(conn: AsyncConnection) -> dict[ResourceState, int]:
    """How many attempts are in each state but TERMINATED."""
    live = [state.value for state in ResourceState if state is not ResourceState.TERMINATED]
    c = attempts.c
    statement = select(c.resource_state, func.count()).where(c.resource_state.in_(live)).group_by(c.resource_state)
    return {ResourceState(row[0]): row[1] for row in await conn.execute(statement)}


async def record_move(conn: AsyncConnection, lease: Lease, view: View, move: Move, *, actor: str) -> None:
    """Record a move, the end of the job if it is that, or the next attempt, in one transaction.

    Raises:
        StaleError: the lease is no longer ours, or the attempt was changed by somebody else.
        IllegalMoveError: the table has no such move.
    """
    await _one(conn, lease, Recorded(view, move), actor)


async def record_intent(conn: AsyncConnection, lease: Lease, attempt: Attempt, intent: SubmitIntent) -> Attempt:
    """Commit that the driver may now be submitted to this head, and to no other.

    Raises:
        StaleError: the lease is lost, the attempt has changed, or is to be stopped or queued again.
    """
    await _one(conn, lease, Intended(attempt, intent), "")
    return attempt.model_copy(update={"submit_intent": intent})


async def mark(conn: AsyncConnection, lease: Lease, attempt: Attempt, column: str) -> None:
    """Set `driver_seen_at` or `stop_sent_at` to now, with no move.

    Raises:
        StaleError: the lease is lost, or the attempt has changed.
    """
    await _one(conn, lease, Marked(attempt, column), "")


async def record_changes(
    conn: AsyncConnection, lease: Lease, changes: Sequence[Change], *, actor: str
) -> list[Exception | None]:
    """Record many changes in one transaction: for each, None, or why it was not recorded.

    Locks are taken in one order: lease, jobs by id, attempts by id. A job's row is read again under its lock, so that
    a stop that came in the same instant wins against a retry. One that is stale does not hinder the others.

    Raises:
        StaleError: the lease is no longer ours.
    """
    await check_lease(conn, lease)
    writes = [one for one in changes if not isinstance(one, Answered)]
    locked = await lock_jobs(conn, {one.attempt.job_id for one in writes if one.locks_job})
    versions = await lock_attempts(conn, {one.attempt.id for one in writes})
    context = _Context(actor, await now(conn), await blind_seconds(conn, lease.name))
    batch = _Batch(conn, context, locked, versions)
    results: dict[int, Exception | None] = {}
    for one in sorted(writes, key=lambda write: write.attempt.id):
        results[id(one)] = await batch.write(one)
    await batch.finish()
    await delete_wakeups(conn, lease.name, [one.wakeup for one in changes if isinstance(one, Answered)])
    return [results.get(id(one)) for one in changes]


class _Context(NamedTuple):
    """What the changes of one transaction share."""

    actor: str
    at: datetime
    blind: float


class _Batch:
    """Changes of one transaction, under one moment, with the rows of their jobs and attempts locked."""

    def __init__(
        self,
        conn: AsyncConnection,
        context: _Context,
        locked: dict[str, dict[str, Any]],
        versions: dict[str, int],
    ) -> None:
        self._conn = conn
        self._actor, self._at, self._blind = context
        self._jobs = locked
        self._versions = versions
        self._updates: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        """By the columns that are set: one statement for each."""
        self._transitions: list[dict[str, Any]] = []
        self._finished: list[str] = []

    async def write(self, change: Recorded | Intended | Marked) -> Exception | None:
        """Write it where nothing has changed since it was read; why not, otherwise."""
        attempt = change.attempt
        match change:
            case Recorded(view, move):
                return await self._move(view, move)
            case Marked(column=column):
                return None if self._update(attempt, {column: self._at}) else StaleError()
            case Intended(intent=intent):
                job = self._jobs.get(attempt.job_id)
                if not may_run(job) or (job is not None and job["requeue_attempt"] == attempt.number):
                    return StaleError()
                return None if self._update(attempt, _intent_values(intent, self._at)) else StaleError()

    async def finish(self) -> None:
        """The attempts, their history, and the ends of jobs.

        Raises:
            StaleError: a row has changed under its lock.
        """
        for columns, rows in self._updates.items():
            if (await self._conn.execute(_update_of(columns), rows)).rowcount != len(rows):
                raise StaleError
        await insert_transitions(self._conn, self._transitions)
        if self._finished:
            over = jobs.c.id.in_(self._finished)
            await self._conn.execute(update(jobs).where(over).values(finished_at=self._at))

    async def _move(self, view: View, move: Move) -> Exception | None:
        attempt = view.attempt
        if not is_legal_move(attempt.pair, move.target):
            return IllegalMoveError(f"{attempt.id}: {attempt.pair} -> {move.target} ({move.reason})")
        job = self._jobs.get(attempt.job_id)
        ends = move.target.job_state.is_final and not attempt.job_state.is_final
        if ends and (job is None or (move.reason in REQUEUES and job["stop_at"] is not None and view.stop is None)):
            return StaleError()  # a stop came in between, and is the end's reason
        values = values_of(move, self._at, attempt) | {"blind_at_entry": self._blind}
        if not self._update(attempt, values | {"version": attempt.version + 1}):
            return StaleError()
        before = Before(attempt.id, attempt.job_id, attempt.number, attempt.version)
        self._transitions.append(transition(before, attempt.pair, move, actor=self._actor, at=self._at))
        if ends and job is not None:
            await self._follow(replace(view, stop=stop_of(job)), move)
        return None

    async def _follow(self, view: View, move: Move) -> None:
        """The next attempt, or the end of the job."""
        attempt = view.attempt
        again = retry_at(view, move, await _spent(self._conn, attempt)) if _may_follow(view, move) else None
        if again is None:
            self._finished.append(attempt.job_id)
            return
        row = (await self._conn.execute(select(attempts).where(attempts.c.id == attempt.id))).one()._mapping
        following = next_attempt(dict(row), self._at, again, avoided(view, move))
        await insert_attempt(self._conn, following, actor=self._actor)
        mine = jobs.c.id == attempt.job_id
        await self._conn.execute(update(jobs).where(mine).values(latest=following["number"]))

    def _update(self, attempt: Attempt, values: dict[str, Any]) -> bool:
        if self._versions.get(attempt.id) != attempt.version:
            return False
        del self._versions[attempt.id]  # one change of an attempt in a transaction
        row = {f"set_{name}": value for name, value in values.items()}
        row |= {"the_id": attempt.id, "the_version": attempt.version}
        self._updates.setdefault(tuple(sorted(values)), []).append(row)
        return True


async def _one(conn: AsyncConnection, lease: Lease, change: Change, actor: str) -> None:
    [error] = await record_changes(conn, lease, [change], actor=actor)
    if error is not None:
        raise error


@lru_cache(maxsize=128)
def _update_of(columns: tuple[str, ...]) -> Update:
    """Set these columns of attempts that have the version that was read."""
    mine = (attempts.c.id == bindparam("the_id")) & (attempts.c.version == bindparam("the_version"))
    return update(attempts).where(mine).values({name: bindparam(f"set_{name}") for name in columns})


async def _spent(conn: AsyncConnection, attempt: Attempt) -> list[Category | None]:
    earlier = select(attempts.c.category).where(
        attempts.c.job_id == attempt.job_id,
        attempts.c.number < attempt.number,
        attempts.c.job_state == JobState.FAILED.value,
    )
    return [None if name is None else Category(name) for name in await conn.scalars(earlier)]


def _intent_values(intent: SubmitIntent, at: datetime) -> dict[str, Any]:
    return {
        "intent_submission_id": intent.submission_id,
        "intent_cluster_uid": intent.cluster_uid,
        "intent_head_uid": intent.head_uid,
        "intent_at": at,
    }


def _may_follow(view: View, move: Move) -> bool:
    """Whether it is worth reading how many retries were spent."""
    category = move.reason.category
    return move.reason in REQUEUES or (category is not None and view.spec.retries.limit(category) > 0)
