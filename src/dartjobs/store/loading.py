"""Read what `decide` needs, of many attempts in few statements; one malformed row is an error of its own alone."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.world import Evidence, Observation, View
from dartjobs.models.job import Attempt, RequeueIntent, StopIntent
from dartjobs.models.spec import JobSpec
from dartjobs.store.database import now
from dartjobs.store.rows import attempt_of, evidence_of, requeue_of, spec_of, stop_of
from dartjobs.store.tables import attempts, clusters, evidence, gateways, jobs

_JOB = ("namespace", "submitted_at", "latest", "stop_at", "stop_by", "stop_reason")
_REQUEUE = ("requeue_attempt", "requeue_at", "requeue_by", "requeue_reason")
_CHUNK = 500


class MalformedRowError(Exception):
    """What the database holds of an attempt cannot be read; the others can."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that the database knows about one attempt, at one moment."""

    attempt: Attempt
    namespace: str
    spec: JobSpec
    malformed: str | None
    """What of the specification could not be read, so that `spec` has a default for it; None where all is well."""
    submitted_at: datetime
    due_at: datetime | None
    stop: StopIntent | None
    requeue: RequeueIntent | None
    evidence: Evidence
    blind_seconds: float
    gateway_seen_at: datetime | None
    """When the cluster's gateway last said that it listens; None: it never did."""
    superseded: bool
    now: datetime

    def view(self, observation: Observation) -> View:
        """What `decide` may look at, with what was seen of the cluster."""
        return View(
            attempt=self.attempt,
            spec=self.spec,
            submitted_at=self.submitted_at,
            now=self.now,
            observation=observation,
            evidence=self.evidence,
            stop=self.stop,
            requeue=self.requeue,
            blind_seconds=self.blind_seconds,
            superseded=self.superseded,
        )


async def load(conn: AsyncConnection, attempt_id: str) -> Loaded | None:
    """Read an attempt with its job's intents and the runner's evidence; None if there is no such attempt.

    Raises:
        MalformedRowError: it cannot be read.
    """
    found = (await load_many(conn, [attempt_id])).get(attempt_id)
    if isinstance(found, MalformedRowError):
        raise found
    return found


async def load_many(conn: AsyncConnection, attempt_ids: Sequence[str]) -> dict[str, Loaded | MalformedRowError]:
    """Read these attempts; those that do not exist are not among the answers."""
    found: dict[str, Loaded | MalformedRowError] = {}
    at = await now(conn)
    for begin in range(0, len(attempt_ids), _CHUNK):
        ids = attempt_ids[begin : begin + _CHUNK]
        reports = await _reports(conn, ids)
        for row in await conn.execute(_statement().where(attempts.c.id.in_(ids))):
            values = row._mapping
            try:
                found[values["id"]] = _loaded(values, reports.get(values["id"], {}), at)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it is wrong with this row alone
                found[values["id"]] = _malformed(values["id"], error)
    return found


def _statement() -> Select[Any]:
    of_job = [jobs.c[name].label(f"job__{name}") for name in (*_JOB, *_REQUEUE)]
    spec = type_coerce(jobs.c.spec, Text).label("job__spec")
    return (
        select(
            *(column for column in attempts.c if column.name != "selector"),
            *of_job,
            spec,
            clusters.c.blind_seconds,
            gateways.c.seen_at.label("gateway_seen_at"),
        )
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .outerjoin(clusters, clusters.c.name == attempts.c.cluster)
        .outerjoin(gateways, gateways.c.cluster == attempts.c.cluster)
    )


async def _reports(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, dict[str, tuple[datetime, str]]]:
    columns = evidence.c.attempt_id, evidence.c.kind, evidence.c.at, type_coerce(evidence.c.body, Text).label("body")
    found: dict[str, dict[str, tuple[datetime, str]]] = {}
    for row in await conn.execute(select(*columns).where(evidence.c.attempt_id.in_(ids))):
        found.setdefault(row.attempt_id, {})[row.kind] = (row.at, row.body)
    return found


def _loaded(values: Mapping[str, Any], reports: dict[str, tuple[datetime, str]], at: datetime) -> Loaded:
    attempt = attempt_of(values)
    job = {name: values[f"job__{name}"] for name in (*_JOB, *_REQUEUE)}
    spec, malformed = spec_of(values["job__spec"])
    return Loaded(
        attempt=attempt,
        namespace=job["namespace"],
        spec=spec,
        malformed=malformed,
        submitted_at=job["submitted_at"],
        due_at=values["due_at"],
        stop=stop_of(job),
        requeue=requeue_of(job),
        evidence=evidence_of({kind: (when, json.loads(body)) for kind, (when, body) in reports.items()}),
        blind_seconds=values["blind_seconds"] or 0.0,
        gateway_seen_at=values["gateway_seen_at"],
        superseded=job["latest"] != attempt.number,
        now=at,
    )


def _malformed(attempt_id: str, error: Exception) -> MalformedRowError:
    malformed = MalformedRowError(f"{attempt_id}: {error}")
    malformed.__cause__ = error
    return malformed
