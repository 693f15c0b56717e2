"""what several replicas, filters, requeues, placement by columns and idempotent submissions need."""

import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from alembic import op

from dartjobs.models.quantity import parse_quantity
from dartjobs.store.migrations import steps

revision = "0002"
down_revision = "0001"

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "namespace": sa.String(length=63),
    "queue_rank": sa.Integer(),
    "cpu_milli": sa.BigInteger(),
    "memory": sa.BigInteger(),
    "gpu": sa.Integer(),
}
_OF_ATTEMPTS = tuple(_TYPES)


def upgrade() -> None:
    """Apply it."""
    _create_tables()
    _extend_jobs()
    _extend_attempts()
    _extend_clusters()


def _create_tables() -> None:
    steps.create_table(
        "job_labels",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=317), nullable=False),
        sa.Column("value", sa.String(length=63), nullable=False),
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "key"),
    )
    steps.create_index(
        op.f("ix_job_labels_namespace_key_value_job_id"), "job_labels", ["namespace", "key", "value", "job_id"]
    )
    steps.create_index(op.f("ix_job_labels_namespace_key_job_id"), "job_labels", ["namespace", "key", "job_id"])
    steps.create_table(
        "idempotency",
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("job_ids", steps.JSON, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "user", "key"),
    )
    steps.create_index(op.f("ix_idempotency_at"), "idempotency", ["at"])
    steps.create_table(
        "gateways",
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cluster"),
    )
    steps.create_table(
        "packages",
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("ref", sa.String(length=80), nullable=False),
        sa.Column("gen", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("deleting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "ref"),
    )
    steps.create_index(op.f("ix_packages_used_at"), "packages", ["used_at"])


def _extend_jobs() -> None:
    for column in (
        sa.Column("package", sa.String(length=80)),
        sa.Column("retry_of", sa.String(length=64)),
        sa.Column("requeue_attempt", sa.Integer()),
        sa.Column("requeue_at", sa.BigInteger()),
        sa.Column("requeue_by", sa.String(length=255)),
        sa.Column("requeue_reason", steps.TEXT),
    ):
        steps.add_column("jobs", column)
    steps.create_index(op.f("ix_jobs_namespace_name_id"), "jobs", ["namespace", "name", "id"])
    steps.create_index(op.f("ix_jobs_namespace_user_id"), "jobs", ["namespace", "user", "id"])
    steps.create_index(op.f("ix_jobs_namespace_package"), "jobs", ["namespace", "package"])


def _extend_attempts() -> None:
    for name, kind in (*_TYPES.items(), ("selector", steps.JSON), ("due_at", sa.BigInteger())):
        steps.add_column("attempts", sa.Column(name, kind))
    _fill()
    steps.drop_index(op.f("ix_attempts_resource_state_priority_id"), "attempts")
    steps.settle("attempts", drop=["priority"], not_null=_TYPES)
    steps.create_index(
        op.f("ix_attempts_resource_state_queue_rank_id"), "attempts", ["resource_state", "queue_rank", "id"]
    )
    steps.create_index(op.f("ix_attempts_resource_state_due_at"), "attempts", ["resource_state", "due_at"])
    steps.create_index(op.f("ix_attempts_namespace_job_state_job_id"), "attempts", ["namespace", "job_state", "job_id"])
    steps.create_index(op.f("ix_attempts_namespace_cluster_job_id"), "attempts", ["namespace", "cluster", "job_id"])


def _extend_clusters() -> None:
    for column in (
        sa.Column("unreachable_since", sa.BigInteger()),
        sa.Column("lost_at", sa.BigInteger()),
        sa.Column("lost_by", sa.String(length=255)),
    ):
        steps.add_column("clusters", column)


def _fill() -> None:
    conn = op.get_bind()
    jobs = sa.table("jobs", *(sa.column(name) for name in ("id", "namespace", "priority", "spec", "package")))
    attempts = sa.table("attempts", *(sa.column(name) for name in ("job_id", "due_at", "created_at", *_OF_ATTEMPTS)))
    selector = sa.table("attempts", sa.column("job_id"), sa.column("selector", sa.JSON(none_as_null=True)))
    labels = sa.table("job_labels", *(sa.column(name) for name in ("job_id", "key", "value", "namespace")))
    for row in conn.execute(sa.select(jobs)).all():
        spec = json.loads(row.spec) if isinstance(row.spec, str | bytes) else row.spec
        values = {"namespace": row.namespace, "queue_rank": -row.priority, **_need(spec)}
        mine = attempts.c.job_id == row.id
        conn.execute(sa.update(attempts).where(mine).values(due_at=attempts.c.created_at, **values))
        wanted = spec.get("cluster_selector") or None
        conn.execute(sa.update(selector).where(selector.c.job_id == row.id).values(selector=wanted))
        package = (spec.get("runtime_env") or {}).get("working_dir")
        conn.execute(sa.update(jobs).where(jobs.c.id == row.id).values(package=package))
        conn.execute(sa.delete(labels).where(labels.c.job_id == row.id))  # of an upgrade that broke off
        for key, value in (spec.get("labels") or {}).items():
            label = {"job_id": row.id, "key": key, "value": value, "namespace": row.namespace}
            conn.execute(sa.insert(labels).values(label))


def _need(spec: dict[str, Any]) -> dict[str, int]:
    """As `core.queueing.demand` had it when this was written."""
    nodes = [(1, spec["head"])] + [(max(group["min_replicas"], 1), group) for group in spec.get("workers") or []]
    cpu = sum((count * parse_quantity(node["cpu"]) for count, node in nodes), Decimal(0))
    memory = sum(count * int(parse_quantity(node["memory"])) for count, node in nodes)
    return {"cpu_milli": int(cpu * 1_000), "memory": memory, "gpu": sum(count * node["gpu"] for count, node in nodes)}
