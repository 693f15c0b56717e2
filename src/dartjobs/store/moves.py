"""Parts of what every move of an attempt writes: its locks, its columns, its history."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import Move
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState
from dartjobs.store.tables import attempts, clusters, jobs, transitions


class Before(NamedTuple):
    """What a transition repeats of the attempt before it."""

    id: str
    job_id: str
    number: int
    version: int


async def lock_jobs(conn: AsyncConnection, job_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the intents of these jobs are, which nobody changes until the end of the transaction."""
    ids = sorted(job_ids)
    if not ids:
        return {}
    columns = [jobs.c[name] for name in ("id", "stop_at", "stop_by", "stop_reason", "requeue_attempt")]
    rows = await conn.execute(select(*columns).where(jobs.c.id.in_(ids)).order_by(jobs.c.id).with_for_update())
    return {row.id: dict(row._mapping) for row in rows}


async def lock_attempts(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, int]:
    """The versions of these attempts, which nobody else changes until the end of the transaction."""
    wanted = sorted(ids)
    if not wanted:
        return {}
    columns = attempts.c.id, attempts.c.version
    mine = select(*columns).where(attempts.c.id.in_(wanted)).order_by(attempts.c.id).with_for_update()
    return {row.id: row.version for row in await conn.execute(mine)}


def may_run(job: dict[str, Any] | None) -> bool:
    """Whether nobody asked for its stop."""
    return job is not None and job["stop_at"] is None


async def insert_transitions(conn: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """The history of the moves of a transaction."""
    if rows:
        await conn.execute(insert(transitions), rows)


def values_of(move: Move, at: datetime, attempt: Attempt | None = None) -> dict[str, Any]:
    """The attempt's columns after the move; an outcome keeps its reason."""
    keeps_reason = attempt is not None and attempt.job_state.is_final
    values: dict[str, Any] = {
        "resource_state": move.target.resource_state.value,
        "job_state": move.target.job_state.value,
        "entered_at": at,
        **{name: value.value if isinstance(value, Enum) else value for name, value in move.changes.items()},
    }
    if not keeps_reason:
        values |= {"reason": move.reason.value, "category": _category(move.reason), "message": move.message}
        if move.target.job_state.is_final:
            values["finished_at"] = at
    if move.target.resource_state is ResourceState.TERMINATED:
        values["terminated_at"] = at
    return values


def transition(before: Before, source: Pair, move: Move, *, actor: str, at: datetime) -> dict[str, Any]:
    """The row of `transitions` that says a move."""
    return {
        "attempt_id": before.id,
        "version": before.version + 1,
        "job_id": before.job_id,
        "attempt": before.number,
        "from_resource_state": source.resource_state.value,
        "from_job_state": source.job_state.value,
        "resource_state": move.target.resource_state.value,
        "job_state": move.target.job_state.value,
        "reason": move.reason.value,
        "category": _category(move.reason),
        "message": move.message,
        "actor": actor,
        "evidence": move.evidence,
        "at": at,
    }


async def blind_seconds(conn: AsyncConnection, cluster: str) -> float:
    """For how long, in all, nobody could see this cluster."""
    return await conn.scalar(select(clusters.c.blind_seconds).where(clusters.c.name == cluster)) or 0.0


def _category(reason: Reason) -> str | None:
    return None if reason.category is None else reason.category.value
