"""The tables. Times are BIGINT microseconds since 1970 UTC: no engine rounds them, and none has a time zone.

Ids, names and every other text compare byte by byte on every engine (`migrations/steps.py` chooses the collations).
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, exact to the microsecond, as BIGINT."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """To microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: object, _dialect: Dialect) -> datetime | None:
        """From microseconds."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(str(value)))


def to_json(value: object) -> str:
    """What a JSON column takes: a model is written as the API shows it."""
    return value.model_dump_json(by_alias=True) if isinstance(value, BaseModel) else json.dumps(value)


class _JsonText(TypeDecorator[object]):
    """JSON as text, which reads back as it was written: MySQL's own JSON sorts keys and rewrites numbers."""

    impl = mysql.LONGTEXT
    cache_ok = True

    def process_bind_param(self, value: object, _dialect: Dialect) -> str | None:
        """To text; None is NULL."""
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> object:
        """From text."""
        return None if value is None else json.loads(value)


metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)
_ID = String(64)
_NAME = String(63)
_STATE = String(16)
_REASON = String(32)
_TEXT: TypeEngine[str] = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
"""MySQL's TEXT ends at 64 KiB."""
_JSON: TypeEngine[Any] = JSON(none_as_null=True).with_variant(_JsonText(), "mysql", "mariadb")
_SECONDS: TypeEngine[float] = Float().with_variant(mysql.DOUBLE(asdecimal=False), "mysql", "mariadb")
"""MySQL's FLOAT has seven digits."""
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only a column whose type is exactly INTEGER."""

meta = Table("meta", metadata, Column("name", _NAME, primary_key=True), Column("value", _TEXT, nullable=False))

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("namespace", _NAME, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("user", String(255), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", _JSON, nullable=False),
    Column("submitted_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("latest", Integer, nullable=False),
    Column("package", String(80)),
    Column("retry_of", _ID),
    Column("stop_at", Instant),
    Column("stop_by", String(255)),
    Column("stop_reason", _TEXT),
    Column("requeue_attempt", Integer),
    Column("requeue_at", Instant),
    Column("requeue_by", String(255)),
    Column("requeue_reason", _TEXT),
    Index(None, "namespace", "id"),
    Index(None, "namespace", "name", "id"),
    Index(None, "namespace", "user", "id"),
    Index(None, "namespace", "package"),
)

job_labels = Table(
    "job_labels",
    metadata,
    Column("job_id", _ID, primary_key=True),
    Column("key", String(317), primary_key=True),
    Column("value", _NAME, nullable=False),
    Column("namespace", _NAME, nullable=False),
    Index(None, "namespace", "key", "value", "job_id"),
    Index(None, "namespace", "key", "job_id"),
)
"""A copy of `spec.labels`, from which label selectors are answered by an index: one for values, one for mere keys."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("namespace", _NAME, primary_key=True),
    Column("user", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("job_ids", _JSON, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "at"),
)
"""What an `Idempotency-Key` led to: the ids of the jobs that its first request made."""

attempts = Table(
    "attempts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("job_id", _ID, nullable=False),
    Column("number", Integer, nullable=False),
    Column("namespace", _NAME, nullable=False),
    Column("queue_rank", Integer, nullable=False),
    Column("cpu_milli", BigInteger, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("gpu", Integer, nullable=False),
    Column("selector", _JSON),
    Column("due_at", Instant),
    Column("cluster", _NAME),
    Column("resource_state", _STATE, nullable=False),
    Column("job_state", _STATE, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", _REASON, nullable=False),
    Column("category", _REASON),
    Column("message", _TEXT, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("not_before", Instant),
    Column("blind_at_entry", _SECONDS, nullable=False, default=0.0),
    Column("cluster_uid", _ID),
    Column("intent_submission_id", String(128)),
    Column("intent_cluster_uid", _ID),
    Column("intent_head_uid", _ID),
    Column("intent_at", Instant),
    Column("driver_seen_at", Instant),
    Column("driver_started_at", Instant),
    Column("stop_cause", _REASON),
    Column("stop_sent_at", Instant),
    Column("exit_code", Integer),
    Column("signal", String(16)),
    Column("finished_at", Instant),
    Column("terminated_at", Instant),
    Column("avoid", _NAME),
    UniqueConstraint("job_id", "number"),
    Index(None, "resource_state", "queue_rank", "id"),
    Index(None, "resource_state", "due_at"),
    Index(None, "cluster", "resource_state"),
    Index(None, "namespace", "job_state", "job_id"),
    Index(None, "namespace", "cluster", "job_id"),
)
"""Some columns repeat the job's, so that one index answers:

`queue_rank`: the negated priority, so that ascending order is the queue's on every engine; `cpu_milli`, `memory`
(bytes), `gpu`: what it needs to be placed; `selector`: its `cluster_selector`, NULL where that is empty; `due_at`: when
the controller has to look at it while it is queued, NULL for never.
"""

transitions = Table(
    "transitions",
    metadata,
    Column("attempt_id", _ID, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("job_id", _ID, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("from_resource_state", _STATE),
    Column("from_job_state", _STATE),
    Column("resource_state", _STATE, nullable=False),
    Column("job_state", _STATE, nullable=False),
    Column("reason", _REASON, nullable=False),
    Column("category", _REASON),
    Column("message", _TEXT, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("evidence", _JSON, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "job_id", "attempt", "version"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("attempt_id", _ID, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("body", _JSON, nullable=False),
)

wakeups = Table(
    "wakeups",
    metadata,
    Column("cluster", _NAME, primary_key=True),
    Column("attempt_id", _ID, primary_key=True),
    Column("gen", String(32), nullable=False),
)

clusters = Table(
    "clusters",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("identity", _ID),
    Column("labels", _JSON, nullable=False),
    Column("capacity", _JSON),
    Column("schedulable", Integer, nullable=False),
    Column("blind_seconds", _SECONDS, nullable=False),
    Column("seen_at", Instant),
    Column("unreachable_since", Instant),
    Column("lost_at", Instant),
    Column("lost_by", String(255)),
    Column("settings", _JSON),
    Column("added_at", Instant),
    Column("added_by", String(255)),
)
"""`identity`, `labels`, `capacity` and `seen_at` are what the Sync Service says, NULL (labels: none) until it does;
`settings` are an operator's, NULL where the cluster registered itself."""

gateways = Table(
    "gateways",
    metadata,
    Column("cluster", _NAME, primary_key=True),
    Column("seen_at", Instant, nullable=False),
)
"""When each cluster's gateway last said that it listens: while it does not, every runner counts as silent."""

packages = Table(
    "packages",
    metadata,
    Column("namespace", _NAME, primary_key=True),
    Column("ref", String(80), primary_key=True),
    Column("gen", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("deleting", Integer, nullable=False),
    Index(None, "used_at"),
)
"""Stored packages; `gen` is part of the object's key and never used again, so that a sweep deletes what it saw and
nothing that was stored since."""

leases = Table(
    "leases",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("holder", String(255), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("cluster", _NAME, nullable=False),
    Column("attempt_id", _ID, nullable=False),
    Column("cluster_uid", _ID),
    Column("epoch", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _ROW_ID, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", _NAME, nullable=False),
    Column("namespace", _NAME, nullable=False),
    Column("job_id", _ID),
    Column("detail", _TEXT, nullable=False),
)
