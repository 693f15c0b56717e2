"""What a session on MySQL or MariaDB is set to, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store import leases
from dartjobs.store.database import Database
from tests.fakes.engines import SERVERS, database_on, open_database, url_on


@pytest.fixture(params=SERVERS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_on(request.param, tmp_path, pool_size=1, lock_timeout=7) as one:
        yield one


async def settings_of(conn: AsyncConnection) -> list[object]:
    name = "tx_isolation" if conn.dialect.name == "mariadb" else "transaction_isolation"
    found = await conn.execute(
        text(f"SELECT @@{name}, @@time_zone, @@innodb_lock_wait_timeout, @@character_set_client, @@sql_mode")
    )
    return list(found.one())


async def questions(conn: AsyncConnection) -> int:
    """Statements that the server has got in this session, this one included."""
    return int((await conn.execute(text("SHOW SESSION STATUS LIKE 'Questions'"))).one()[1])


async def test_a_transaction_is_read_committed_strict_and_in_utc(database: Database) -> None:
    for found in (await database.write(settings_of), (await database.read(settings_of))):
        assert found[1:4] == ["+00:00", 7, "utf8mb4"]
        assert "STRICT_ALL_TABLES" in str(found[4])
    assert (await database.write(settings_of))[0] == "READ-COMMITTED"


async def test_reading_costs_nothing_but_its_statements(database: Database) -> None:
    counts = [await database.read(questions) for _ in range(3)]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]


async def test_a_transaction_costs_its_statements_and_one_commit(database: Database) -> None:
    counts = [await database.write(questions) for _ in range(3)]
    assert counts == [counts[0], counts[0] + 2, counts[0] + 4]


async def test_every_column_of_text_compares_byte_by_byte(database: Database) -> None:
    async def collations(conn: AsyncConnection) -> set[str]:
        found = await conn.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> 'alembic_version'"
            )
        )
        return {str(row[0]) for row in found}

    [found] = await database.read(collations)
    assert found in {"utf8mb4_0900_bin", "utf8mb4_nopad_bin"}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_process_that_stands_still_in_a_transaction_keeps_its_locks_for_a_bounded_time(
    server: str, tmp_path: Path
) -> None:
    """As one that SIGSTOP stopped between two statements: the server ends its transaction, another takes the lease."""
    holds, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still(conn: AsyncConnection) -> None:
        await leases.lock_lease(conn, "local")
        holds.set()
        await goes_on.wait()
        await leases.lock_lease(conn, "local")

    async with url_on(server, tmp_path) as url:
        stopped, other = open_database(url, idle_timeout=2), open_database(url)
        take = partial(leases.acquire, name="local", duration=timedelta(0))
        await other.write(partial(take, holder="first"))
        standing = asyncio.create_task(stopped.write(stand_still))
        await holds.wait()
        assert await other.write(partial(take, holder="second")) is not None
        goes_on.set()
        await standing
        await stopped.close()
        await other.close()
