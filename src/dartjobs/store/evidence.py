"""Evidence: what runners reported through the gateway, inserted with a wake-up in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import Evidence
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.database import now
from dartjobs.store.rows import evidence_of
from dartjobs.store.tables import attempts, evidence, gateways
from dartjobs.store.upsert import upsert
from dartjobs.store.wakeups import put_wakeups

_SILENCE = "silence"
_WITHOUT_END = [JobState.WAITING.value, JobState.RUNNING.value]


async def read_evidence(conn: AsyncConnection, attempt_id: str) -> Evidence:
    """All that was reported for an attempt."""
    rows = await conn.execute(select(evidence).where(evidence.c.attempt_id == attempt_id))
    return evidence_of({row.kind: (row.at, row.body) for row in rows})


async def accepts_reports(conn: AsyncConnection, attempt_id: str) -> bool | None:
    """Whether a runner may still report for it; None: there is no such attempt."""
    state = await conn.scalar(select(attempts.c.resource_state).where(attempts.c.id == attempt_id))
    return None if state is None else state != ResourceState.TERMINATED.value


async def is_log_complete(conn: AsyncConnection, attempt_id: str) -> bool | None:
    """Whether nothing will be added to the attempt's log; None: there is no such attempt."""
    state = await conn.scalar(select(attempts.c.resource_state).where(attempts.c.id == attempt_id))
    if state is None:
        return None
    return state == ResourceState.TERMINATED.value or await conn.scalar(_of(attempt_id, "log_end")) is not None


async def report(conn: AsyncConnection, attempt_id: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Record a report once and wake the attempt's cluster; the first report of a kind stands. Answers what stands."""
    stands, _ = await record_reports(conn, attempt_id, {kind: body})
    return stands[kind]


async def record_reports(
    conn: AsyncConnection, attempt_id: str, reports: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Record reports once and wake the attempt's cluster; the first of a kind stands.

    Answers what stands of each kind, and the cluster. A start is not granted, and `{}` stands, once the attempt has its
    outcome: its driver must not run any more.
    """
    known = select(evidence.c.kind, evidence.c.body).where(evidence.c.attempt_id == attempt_id)
    stands = {row.kind: dict(row.body) for row in await conn.execute(known.where(evidence.c.kind.in_(reports)))}
    of_attempt = select(attempts.c.cluster, attempts.c.job_state).where(attempts.c.id == attempt_id)
    if "start" in reports:
        of_attempt = of_attempt.with_for_update(read=True)  # its outcome is not recorded meanwhile
    row = (await conn.execute(of_attempt)).first()
    cluster = None if row is None else row.cluster
    if row is not None and "start" in reports and JobState(row.job_state).is_final:
        stands.setdefault("start", {})
    fresh = {kind: body for kind, body in reports.items() if kind not in stands}
    if fresh:
        at = await now(conn)
        rows = [{"attempt_id": attempt_id, "kind": kind, "at": at, "body": body} for kind, body in fresh.items()]
        await conn.execute(insert(evidence), rows)
        if cluster is not None:
            await put_wakeups(conn, cluster, [attempt_id])
    return {kind: stands.get(kind, body) for kind, body in reports.items()}, cluster


async def listens(conn: AsyncConnection, cluster: str) -> None:
    """Record that the cluster's gateway listens."""
    await upsert(conn, gateways, [{"cluster": cluster, "seen_at": await now(conn)}], update=["seen_at"])


async def expected(conn: AsyncConnection, cluster: str) -> list[str]:
    """The attempts of this cluster whose driver runs or may."""
    return list(await conn.scalars(_running(cluster)))


async def silent(conn: AsyncConnection, cluster: str) -> list[str]:
    """Those among them whose runner has fallen silent, whichever gateway noticed."""
    mine = evidence.c.attempt_id.in_(_running(cluster))
    return list(await conn.scalars(select(evidence.c.attempt_id).where(evidence.c.kind == _SILENCE, mine)))


async def record_silence(conn: AsyncConnection, cluster: str, attempt_ids: Sequence[str]) -> list[str]:
    """Record that these runners have fallen silent, and wake the cluster. Answers those whose driver may run."""
    mine = select(attempts.c.id).where(attempts.c.id.in_(attempt_ids), attempts.c.cluster == cluster, *_runs())
    silent = sorted(await conn.scalars(mine))
    if silent:
        at = await now(conn)
        rows = [{"attempt_id": one, "kind": _SILENCE, "at": at, "body": {}} for one in silent]
        await upsert(conn, evidence, rows, update=["body"])
        await put_wakeups(conn, cluster, silent)
    return silent


async def end_silence(conn: AsyncConnection, attempt_ids: Sequence[str]) -> None:
    """Record that these runners are heard again."""
    await conn.execute(delete(evidence).where(evidence.c.kind == _SILENCE, evidence.c.attempt_id.in_(attempt_ids)))


def _running(cluster: str) -> Select[str]:
    return select(attempts.c.id).where(attempts.c.cluster == cluster, *_runs())


def _runs() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return attempts.c.resource_state == ResourceState.READY.value, attempts.c.job_state.in_(_WITHOUT_END)


def _of(attempt_id: str, kind: str) -> Select[dict[str, Any]]:
    return select(evidence.c.body).where(evidence.c.attempt_id == attempt_id, evidence.c.kind == kind)
