"""The database engines that tests run on, and a fresh database on each.

SQLite always; MySQL and MariaDB when their URLs are in the environment (see docs/testbed.md). A database is migrated
once a process and emptied before each use: migrating takes a server longer than most tests.
"""

import asyncio
import atexit
import contextlib
import os
import random
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from dartjobs.store.database import Database
from dartjobs.store.migrate import upgrade
from dartjobs.store.settings import DatabaseSettings
from dartjobs.store.tables import metadata

_URLS = {name: os.environ.get(f"DARTJOBS_TEST_{name.upper()}_URL") for name in ("mysql", "mariadb")}
_SERVERS = {name: url for name, url in _URLS.items() if url}
SERVERS: list[str] = list(_SERVERS)
"""Those that are servers, for tests of what only servers do."""
ENGINES: list[str] = ["sqlite", *SERVERS]
"""What to parametrize tests with."""
_free: dict[str, list[str]] = {}
"""By engine: URLs of migrated databases of this process that no test uses now."""
_made: list[str] = []


@asynccontextmanager
async def database_on(engine: str, folder: Path, **settings: Any) -> AsyncIterator[Database]:
    """A fresh, migrated, empty database; `settings` are fields of `DatabaseSettings`."""
    async with url_on(engine, folder) as url:
        database = open_database(url, **settings)
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def url_on(engine: str, folder: Path) -> AsyncIterator[str]:
    """The URL of a fresh, migrated, empty database, for several `Database`s or processes."""
    if engine == "sqlite":
        path = folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(await _template(), path)
        yield _sqlite(path)
        return
    free = _free.setdefault(engine, [])
    url = free.pop() if free else await _migrated(await _create(_SERVERS[engine]))
    await _empty(url)
    try:
        yield url
    finally:
        free.append(url)


@asynccontextmanager
async def blank_url_on(engine: str, folder: Path) -> AsyncIterator[str]:
    """The URL of a database without any tables."""
    if engine == "sqlite":
        yield _sqlite(folder / f"{uuid.uuid4().hex}.db")
        return
    url = await _create(_SERVERS[engine])
    try:
        yield url
    finally:
        _made.remove(url)
        await _drop(url)


def open_database(url: str, *, luck: Callable[[], float] = random.random, **settings: Any) -> Database:
    """A database that exists; `settings` are fields of `DatabaseSettings`."""
    return Database(DatabaseSettings(url=SecretStr(url), **settings), luck=luck)


def with_database(server: str, name: str) -> str:
    """A server's URL with another database."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def execute(url: str, *statements: str) -> None:
    """Run statements in a session of their own, each committed at once."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as conn:
        for statement in statements:
            await conn.execute(text(statement))
    await engine.dispose()


def _sqlite(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def _template() -> Path:
    free = _free.setdefault("sqlite", [])
    if not free:
        folder = tempfile.mkdtemp(prefix="dartjobs-test-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder, "migrated.db")
        await _migrated(_sqlite(path))
        free.append(str(path))
    return Path(free[0])


async def _migrated(url: str) -> str:
    database = open_database(url)
    await upgrade(database)
    await database.close()
    return url


async def _create(server: str) -> str:
    name = f"dartjobs_test_{uuid.uuid4().hex[:16]}"
    await execute(server, f"CREATE DATABASE {name}")
    if not _made:
        atexit.register(_drop_all)
    url = with_database(server, name)
    _made.append(url)
    return url


async def _drop(url: str) -> None:
    name = make_url(url).database
    await execute(with_database(url, ""), f"DROP DATABASE IF EXISTS {name}")


def _drop_all() -> None:
    async def drop() -> None:
        while _made:
            with contextlib.suppress(Exception):  # a server that is gone has taken its databases along
                await _drop(_made.pop())

    asyncio.run(drop())


async def _empty(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as conn:
        for table in metadata.tables.values():
            await conn.execute(delete(table))
    await engine.dispose()
