"""Bring a database's schema to this version."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.problem import UnavailableError
from dartjobs.store.database import Database
from dartjobs.store.engines import WRITE
from dartjobs.store.failures import Failure, failure_of

_LOCK_SECONDS = 600


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run every migration, up to `revision`, that this database has not seen; one process at a time, the others wait.

    On SQLite the whole is one transaction. MySQL and MariaDB commit at every step: an upgrade that breaks off is taken
    up again where it stopped (`migrations/steps.py`).

    Raises:
        UnavailableError: the database cannot be reached, or another upgrade took longer than ten minutes.
    """
    try:
        async with database.engine.connect() as conn, _alone(conn):
            await conn.execution_options(**{WRITE: True})
            async with conn.begin():
                await conn.run_sync(_upgrade, revision)
    except DBAPIError as error:
        if failure_of(error) is Failure.FAULT:
            raise
        msg = f"The database cannot be upgraded now ({error.orig})."
        raise UnavailableError(msg) from error


async def revision(database: Database) -> str | None:
    """The last migration that this database has seen; None where there was none.

    Raises:
        UnavailableError: the database cannot be reached.
    """

    async def look(conn: AsyncConnection) -> str | None:
        return await conn.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())

    return await database.read(look)


async def is_current(database: Database) -> bool:
    """Whether the schema is that of this version.

    Raises:
        UnavailableError: the database cannot be reached.
    """
    return await revision(database) == ScriptDirectory.from_config(_config()).get_current_head()


@asynccontextmanager
async def _alone(conn: AsyncConnection) -> AsyncIterator[None]:
    """The named lock of this database; the server takes it back when the connection ends. SQLite locks as it begins."""
    if conn.dialect.name == "sqlite":
        yield
        return
    named = str(conn.engine.url.database).encode()
    name = f"dartjobs-upgrade-{hashlib.sha256(named).hexdigest()[:32]}"  # at most 64 characters, and the server's own
    if await conn.scalar(select(func.get_lock(name, _LOCK_SECONDS))) != 1:
        msg = f"Another upgrade of this database has not ended in {_LOCK_SECONDS} s."
        raise UnavailableError(msg)
    await conn.commit()
    try:
        yield
    finally:
        if not conn.invalidated:
            await conn.execute(select(func.release_lock(name)))
            await conn.commit()


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
