"""Steps of migrations that can be taken again.

MySQL and MariaDB commit at every DDL statement, so an upgrade that breaks off leaves a part of a migration behind, and
the next one begins that migration anew. Each step looks first whether it was taken.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import ReflectedColumn

_COLLATIONS = {"mysql": "utf8mb4_0900_bin", "mariadb": "utf8mb4_nopad_bin"}
"""Byte by byte, trailing spaces included; no index or comparison takes two users, names or keys for one."""

_SERVERS = ("mysql", "mariadb")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), *_SERVERS)
JSON = sa.JSON(none_as_null=True).with_variant(mysql.LONGTEXT(), *_SERVERS)
SECONDS = sa.Float().with_variant(mysql.DOUBLE(asdecimal=False), *_SERVERS)


def create_table(name: str, *parts: sa.schema.SchemaItem) -> None:
    """Create it if it is not there."""
    if not _inspect().has_table(name):
        dialect = op.get_bind().dialect.name
        options: dict[str, Any] = {}
        if dialect in _COLLATIONS:
            options = {f"{dialect}_charset": "utf8mb4", f"{dialect}_collate": _COLLATIONS[dialect]}
        op.create_table(name, *parts, **options)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Create it if it is not there."""
    if name not in _indexes(table):
        op.create_index(name, table, columns)


def drop_index(name: str, table: str) -> None:
    """Drop it if it is there."""
    if name in _indexes(table):
        op.drop_index(name, table_name=table)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add it, after the others, if it is not there."""
    if column.name not in _columns(table):
        op.add_column(table, column)


def loosen(table: str, nullable: dict[str, sa.types.TypeEngine[Any]]) -> None:
    """Let these columns, given by their types, be NULL; SQLite copies the table for it."""
    columns = _columns(table)
    strict = {name: kind for name, kind in nullable.items() if not columns[name]["nullable"]}
    if not strict:
        return
    with op.batch_alter_table(table) as batch:
        for name, kind in strict.items():
            batch.alter_column(name, existing_type=kind, nullable=True)


def settle(table: str, *, drop: Sequence[str] = (), not_null: dict[str, sa.types.TypeEngine[Any]]) -> None:
    """Drop columns that are there, and make others, given by their types, NOT NULL; SQLite copies the table for it."""
    columns = _columns(table)
    with op.batch_alter_table(table) as batch:
        for name in sorted(columns.keys() & set(drop)):
            batch.drop_column(name)
        for name, kind in not_null.items():
            if columns[name]["nullable"]:
                batch.alter_column(name, existing_type=kind, nullable=False)


def _columns(table: str) -> dict[str, ReflectedColumn]:
    return {column["name"]: column for column in _inspect().get_columns(table)}


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in _inspect().get_indexes(table)}


def _inspect() -> sa.Inspector:
    return sa.inspect(op.get_bind())  # a fresh one each time: an inspector remembers what it has seen
