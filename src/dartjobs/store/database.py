"""Connections, transactions and the database's clock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from dartjobs.models.problem import UnavailableError
from dartjobs.store.tables import Instant

T = TypeVar("T")
_TRIES = 5
_LOCK_WAIT_SECONDS = 30.0


class StaleError(Exception):
    """A guarded update changed no row: what was read is no longer so. Look again."""


class _Now(FunctionElement[datetime]):
    type = Instant()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _now_in_sqlite(_element: _Now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"


@compiles(_Now, "mysql", "mariadb")
def _now_in_mysql(_element: _Now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"


async def now(conn: AsyncConnection) -> datetime:
    """The database's clock: the only one that deadlines know (SQLite: to the millisecond)."""
    moment: datetime | None = await conn.scalar(select(_Now()))
    if moment is None:
        msg = "the database has no clock"
        raise UnavailableError(msg)
    return moment


class Database:
    """One database, with transactions that are retried whole.

    Dialect notes. SQLite: WAL, `synchronous=FULL`, writers take `BEGIN IMMEDIATE` one after another; one process tree.
    """

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = create_async_engine(url)
        self._writing = asyncio.Lock()
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        if self._is_sqlite:
            _prepare_sqlite(self._engine)

    @classmethod
    def at(cls, path: Path) -> Self:
        """The embedded default: a SQLite file."""
        return cls(f"sqlite+aiosqlite:///{path}")

    @property
    def engine(self) -> AsyncEngine:
        """For migrations only."""
        return self._engine

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction that only reads.

        Raises:
            UnavailableError: the database cannot be reached.
        """
        return await self._run(work, write=False)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it; the whole is tried again when another one was in the way.

        Raises:
            UnavailableError: the database cannot be reached, or was locked for too long. Nothing was committed.
        """
        if not self._is_sqlite:
            return await self._run(work, write=True)
        async with self._writing:
            return await self._run(work, write=True)

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]], *, write: bool) -> T:
        for trial in range(1, _TRIES + 1):
            try:
                async with self._engine.connect() as plain:
                    conn = await plain.execution_options(dartjobs_write=write)
                    async with conn.begin():
                        return await work(conn)
            except PoolTimeoutError as error:
                msg = "Every connection to the database is in use; try again in a moment."
                raise UnavailableError(msg) from error
            except (OperationalError, IntegrityError) as error:
                if trial == _TRIES:
                    raise _unavailable(error) from error
        raise AssertionError

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _unavailable(error: DBAPIError) -> UnavailableError:
    return UnavailableError(f"The database did not do it ({error.orig}). Nothing was changed; try again in a moment.")


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={int(_LOCK_WAIT_SECONDS * 1000)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("dartjobs_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
