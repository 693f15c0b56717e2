"""Insert a row or, where its key is there already, update it: one statement, on every engine."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def upsert(
    conn: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], *, update: Collection[str]
) -> None:
    """Insert rows; of those whose primary key exists, set the columns of `update` to the new values.

    All rows name the same columns. Several rows lock in their order: give them sorted, as everybody does.
    """
    if rows:
        await conn.execute(_statement(conn.dialect.name, table, update), list(rows))


def _statement(dialect: str, table: Table, update: Collection[str]) -> Insert:
    if dialect == "sqlite":
        plain = sqlite.insert(table)
        new = {name: plain.excluded[name] for name in update}
        return plain.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
    statement = mysql.insert(table)
    return statement.on_duplicate_key_update({name: statement.inserted[name] for name in update})
