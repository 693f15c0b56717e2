"""the first schema."""

import sqlalchemy as sa
from alembic import op

from dartjobs.store.migrations import steps

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply it."""
    steps.create_table(
        "attempts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=True),
        sa.Column("resource_state", sa.String(length=16), nullable=False),
        sa.Column("job_state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=True),
        sa.Column("message", steps.TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("blind_at_entry", steps.SECONDS, nullable=False),
        sa.Column("cluster_uid", sa.String(length=64), nullable=True),
        sa.Column("intent_submission_id", sa.String(length=128), nullable=True),
        sa.Column("intent_cluster_uid", sa.String(length=64), nullable=True),
        sa.Column("intent_head_uid", sa.String(length=64), nullable=True),
        sa.Column("intent_at", sa.BigInteger(), nullable=True),
        sa.Column("driver_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("driver_started_at", sa.BigInteger(), nullable=True),
        sa.Column("stop_cause", sa.String(length=32), nullable=True),
        sa.Column("stop_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.String(length=16), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("terminated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_attempts_job_id_number")),
    )
    steps.create_index(op.f("ix_attempts_cluster_resource_state"), "attempts", ["cluster", "resource_state"])
    steps.create_index(op.f("ix_attempts_resource_state_priority_id"), "attempts", ["resource_state", "priority", "id"])
    steps.create_table(
        "audit",
        sa.Column("id", steps.ROW_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=63), nullable=False),
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("detail", steps.TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_table(
        "clusters",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("labels", steps.JSON, nullable=False),
        sa.Column("capacity", steps.JSON, nullable=False),
        sa.Column("schedulable", sa.Integer(), nullable=False),
        sa.Column("blind_seconds", steps.SECONDS, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "evidence",
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", steps.JSON, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "kind"),
    )
    steps.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("spec", steps.JSON, nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("stop_at", sa.BigInteger(), nullable=True),
        sa.Column("stop_by", sa.String(length=255), nullable=True),
        sa.Column("stop_reason", steps.TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index(op.f("ix_jobs_namespace_id"), "jobs", ["namespace", "id"])
    steps.create_table(
        "leases",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "meta",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", steps.TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "sweeps",
        sa.Column("id", steps.ROW_ID, nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_uid", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_table(
        "transitions",
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("from_resource_state", sa.String(length=16), nullable=True),
        sa.Column("from_job_state", sa.String(length=16), nullable=True),
        sa.Column("resource_state", sa.String(length=16), nullable=False),
        sa.Column("job_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=True),
        sa.Column("message", steps.TEXT, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("evidence", steps.JSON, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "version"),
    )
    steps.create_index(op.f("ix_transitions_job_id_attempt_version"), "transitions", ["job_id", "attempt", "version"])
    steps.create_table(
        "wakeups",
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("gen", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "attempt_id"),
    )
