"""The migrations make what the tables say, on every engine, from every revision, and whatever broke off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from dartjobs.store.migrate import upgrade
from dartjobs.store.tables import metadata
from tests.fakes.engines import ENGINES, blank_url_on, open_database


@pytest.fixture(params=ENGINES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with blank_url_on(request.param, tmp_path) as one:
        yield one


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def differences_at(url: str) -> list[object]:
    database = open_database(url)
    async with database.engine.connect() as connection:
        found = await connection.run_sync(differences)
    await database.close()
    return found


async def upgrade_at(url: str, revision: str = "head") -> None:
    database = open_database(url)
    await upgrade(database, revision)
    await database.close()


async def test_the_migrated_schema_is_the_schema_of_the_tables(url: str) -> None:
    await upgrade_at(url)
    assert await differences_at(url) == []


async def test_a_second_upgrade_changes_nothing(url: str) -> None:
    await upgrade_at(url)
    await upgrade_at(url)
    assert await differences_at(url) == []


async def test_several_upgrades_at_once_wait_for_each_other(url: str) -> None:
    await asyncio.gather(*(upgrade_at(url) for _ in range(3)))
    assert await differences_at(url) == []
