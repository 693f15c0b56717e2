"""Many jobs at once, written past the API: rows as the store would have made them, by executemany."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.children.drivers import CLUSTER, HEAD
from dartjobs.models.reason import Reason
from dartjobs.models.spec import GIBIBYTE, JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store import tables
from dartjobs.store.database import Database, now

_AT_ONCE = 5_000
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_STATES = (
    (ResourceState.TERMINATED, JobState.SUCCEEDED, Reason.COMPLETED),
    (ResourceState.TERMINATED, JobState.FAILED, Reason.DRIVER_FAILED),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """One job to write."""

    number: int
    user: str
    name: str
    labels: dict[str, str]
    running: bool
    """Else finished."""
    at: datetime


async def running(database: Database, count: int) -> list[str]:
    """Write running jobs of cluster `local`, which need a gateway that listens; the ids of their attempts."""
    at = await database.read(now)
    made = (Seeded(number, "anna", "train", {}, running=True, at=at) for number in range(count))
    return await write(database, made)


async def write(database: Database, jobs: Iterator[Seeded]) -> list[str]:
    """Write them in large transactions; the ids of their attempts."""
    ids: list[str] = []
    while batch := list(itertools.islice(jobs, _AT_ONCE)):
        rows: dict[Table, list[dict[str, Any]]] = {}
        ids += [_add(rows, job) for job in batch]

        async def work(conn: AsyncConnection, rows: dict[Table, list[dict[str, Any]]] = rows) -> None:
            for table, of_table in rows.items():
                await conn.execute(insert(table), of_table)

        await database.write(work)
    return ids


def _add(rows: dict[Table, list[dict[str, Any]]], job: Seeded) -> str:
    job_id = id_at(job.at)
    attempt_id = f"{job_id}-1"
    rows.setdefault(tables.jobs, []).append(_job(job_id, job))
    for key, value in job.labels.items():
        label = {"job_id": job_id, "key": key, "value": value, "namespace": "default"}
        rows.setdefault(tables.job_labels, []).append(label)
    rows.setdefault(tables.attempts, []).append(_attempt(job_id, attempt_id, job) | _state(job))
    if job.running:
        row = {"attempt_id": attempt_id, "kind": "start", "at": job.at, "body": {"head_uid": HEAD, "pid": 1}}
        rows.setdefault(tables.evidence, []).append(row)
    return attempt_id


def _job(job_id: str, job: Seeded) -> dict[str, Any]:
    return {
        "id": job_id,
        "namespace": "default",
        "name": job.name,
        "user": job.user,
        "priority": 0,
        "spec": _SPEC | {"name": job.name, "labels": job.labels},
        "submitted_at": job.at,
        "finished_at": None if job.running else job.at + timedelta(minutes=5),
        "latest": 1,
        "package": None,
        "retry_of": None,
    }


def _attempt(job_id: str, attempt_id: str, job: Seeded) -> dict[str, Any]:
    return {
        "id": attempt_id,
        "job_id": job_id,
        "number": 1,
        "namespace": "default",
        "queue_rank": 0,
        "cpu_milli": 1_000,
        "memory": 2 * GIBIBYTE,
        "gpu": 0,
        "selector": None,
        "created_at": job.at,
        "entered_at": job.at,
        "not_before": None,
    }


def _state(job: Seeded) -> dict[str, Any]:
    resource, state, reason = (
        (ResourceState.READY, JobState.RUNNING, Reason.DRIVER_STARTED) if job.running else _STATES[job.number % 10 == 0]
    )
    end = None if job.running else job.at + timedelta(minutes=5)
    return {
        "cluster": "local",
        "resource_state": resource.value,
        "job_state": state.value,
        "version": 4 if job.running else 6,
        "reason": reason.value,
        "category": None if reason.category is None else reason.category.value,
        "message": "",
        "blind_at_entry": 0.0,
        "cluster_uid": CLUSTER,
        "intent_submission_id": "submission",
        "intent_cluster_uid": CLUSTER,
        "intent_head_uid": HEAD,
        "intent_at": job.at,
        "driver_seen_at": job.at,
        "driver_started_at": job.at,
        "due_at": None,
        "finished_at": end,
        "terminated_at": end,
    }


def id_at(at: datetime) -> str:
    """As `services.ids` makes them, a UUIDv7 (RFC 9562), but of a time that is not now."""
    number = (
        int(at.timestamp() * 1_000) << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)
    )
    return "job-" + "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(26)))


_SPEC: dict[str, Any] = json.loads(JobSpec(entrypoint="sleep 1000").model_dump_json(by_alias=True))
