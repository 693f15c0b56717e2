"""The migrations make what the tables say."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from dartjobs.store.migrate import upgrade
from dartjobs.store.tables import metadata
from tests.fakes.platform import platform_at


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrated_schema_is_the_schema_of_the_tables(tmp_path: Path) -> None:
    async with platform_at(tmp_path) as platform, platform.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_second_upgrade_changes_nothing(tmp_path: Path) -> None:
    async with platform_at(tmp_path) as platform:
        await upgrade(platform.database)
