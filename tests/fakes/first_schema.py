"""Rows in every table of the first schema, as its program wrote them."""

import json
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Text, insert, select

from dartjobs.models.spec import JobSpec

SPECS: dict[str, dict[str, Any]] = {
    "job-1": {"entrypoint": "true"},
    "job-2": {
        "entrypoint": ["python", "a b.py"],
        "name": "train",
        "priority": 7,
        "labels": {"team/env": "prod", "tier": "1"},
        "cluster_selector": {"gpu": "a100"},
        "head": {"cpu": "1500m", "memory": "3Gi"},
        "workers": [
            {"name": "cpu", "cpu": "2", "memory": "1Gi", "min_replicas": 0, "max_replicas": 4},
            {"name": "gpu", "cpu": 4, "gpu": 2, "memory": "1Gi", "min_replicas": 3, "max_replicas": 3},
        ],
        "runtime_env": {"working_dir": f"sha256-{'0' * 64}", "env_vars": {"A": "\N{ROCKET}"}},
    },
    "job-3": {"entrypoint": "true", "labels": {"tier": "2"}, "priority": -3},
}
_STATES = {"resource_state": "QUEUED", "job_state": "WAITING"}


def rows() -> dict[str, list[dict[str, Any]]]:
    """By table."""
    return {
        "jobs": [_job(job_id, JobSpec.model_validate(spec)) for job_id, spec in SPECS.items()],
        "attempts": [_attempt(job_id, number) for job_id in SPECS for number in (1, 2)],
        "transitions": [_transition(job_id) for job_id in SPECS],
        "meta": [{"name": "installation", "value": "abc"}],
        "audit": [{"id": 5, "at": 1, "actor": "ann", "action": "submit", "namespace": "team", "detail": "d"}],
        "clusters": [
            {
                "name": "local",
                "identity": "i",
                "labels": "{}",
                "capacity": json.dumps({"cpu": "4", "memory": 1, "gpu": 0, "elastic": False}),
                "schedulable": 1,
                "blind_seconds": 1_234_567.25,
                "seen_at": 2,
            }
        ],
        "evidence": [{"attempt_id": "job-1-1", "kind": "start", "at": 3, "body": json.dumps({"head_uid": "h"})}],
        "leases": [{"name": "local", "holder": "h", "epoch": 4, "heartbeat_at": 5, "expires_at": 6}],
        "sweeps": [{"id": 9, "cluster": "local", "attempt_id": "job-1-1", "epoch": 4, "at": 7}],
        "wakeups": [{"cluster": "local", "attempt_id": "job-1-1", "gen": "g"}],
    }


def insert_rows(connection: Connection) -> None:
    """Insert them; the schema is at its first revision."""
    metadata = _reflect(connection)
    for name, several in rows().items():
        connection.execute(insert(metadata.tables[name]), several)


def read_rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """What is there now, of the columns of the first schema that are still there."""
    metadata = _reflect(connection)
    return {name: _read(connection, metadata, name, list(several[0])) for name, several in rows().items()}


def _reflect(connection: Connection) -> MetaData:
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.c:
            if isinstance(column.type, JSON):
                column.type = Text()  # as it is stored, on every engine
    return metadata


def _read(connection: Connection, metadata: MetaData, name: str, columns: list[str]) -> list[dict[str, Any]]:
    table = metadata.tables[name]
    kept = [column for column in columns if column in table.c]
    found = connection.execute(select(*(table.c[column] for column in kept)).order_by(*table.primary_key))
    return [dict(row._mapping) for row in found]


def _job(job_id: str, spec: JobSpec) -> dict[str, Any]:
    return {
        "id": job_id,
        "namespace": "team",
        "name": spec.name,
        "user": "ann",
        "priority": spec.priority,
        "spec": json.dumps(spec.model_dump(mode="json", by_alias=True)),
        "submitted_at": 1_000,
        "latest": 2,
        "stop_reason": "because",
    }


def _attempt(job_id: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{job_id}-{number}",
        "job_id": job_id,
        "number": number,
        "priority": SPECS[job_id].get("priority", 0),
        **_STATES,
        "version": 1,
        "reason": "SUBMITTED",
        "message": "m" * 1_000,
        "created_at": 1_000 + number,
        "entered_at": 1_000 + number,
        "blind_at_entry": 0.125,
    }


def _transition(job_id: str) -> dict[str, Any]:
    return {
        "attempt_id": f"{job_id}-1",
        "version": 1,
        "job_id": job_id,
        "attempt": 1,
        **_STATES,
        "reason": "SUBMITTED",
        "message": "",
        "actor": "ann",
        "evidence": "{}",
        "at": 1_001,
    }
