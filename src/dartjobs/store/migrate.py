"""Bring a database's schema to this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from dartjobs.store.database import Database


async def upgrade(database: Database) -> None:
    """Run every migration that this database has not seen."""
    async with database.engine.connect() as plain:
        conn = await plain.execution_options(dartjobs_write=True)
        async with conn.begin():
            await conn.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
