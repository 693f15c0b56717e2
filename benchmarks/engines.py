"""Databases to measure on: SQLite always, the others where the environment names a server (see `testbed/`)."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dartjobs.store.database import Database
from dartjobs.store.migrate import upgrade
from dartjobs.store.settings import DatabaseSettings

_SERVERS = {"mysql": "DARTJOBS_TEST_MYSQL_URL", "mariadb": "DARTJOBS_TEST_MARIADB_URL"}


def engines() -> list[str]:
    """What can be measured on."""
    return ["sqlite", *(name for name, variable in _SERVERS.items() if os.environ.get(variable))]


def usual() -> str:
    """What production has, where it is there."""
    return engines()[1] if len(engines()) > 1 else "sqlite"


def bus() -> str:
    """The bus of production where its server is there, else what works without one."""
    return os.environ.get("DARTJOBS_TEST_REDIS_URL") or "polling:"


@contextlib.asynccontextmanager
async def fresh(engine: str, folder: Path, *, migrated: bool = True) -> AsyncIterator[str]:
    """The URL of a database of its own, dropped afterwards."""
    name = f"dartjobs_bench_{secrets.token_hex(4)}"
    try:
        yield await make(engine, folder, name, migrated=migrated)
    finally:
        await drop(engine, name)


async def make(engine: str, folder: Path, name: str, *, migrated: bool = True) -> str:
    """Make a database, if need be, and bring its schema to this version; answers its URL."""
    url = f"sqlite+aiosqlite:///{folder / name}.db"
    if engine != "sqlite":
        if not await _on_server(engine, f"SHOW DATABASES LIKE '{name}'"):
            await _on_server(engine, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        url = f"{_server(engine)}/{name}"
    if migrated:
        database = open_database(url)
        try:
            await upgrade(database)
        finally:
            await database.close()
    return url


def open_database(url: str) -> Database:
    """One that exists, with the settings of a server's process."""
    return Database(DatabaseSettings(url=SecretStr(url)))


async def drop(engine: str, name: str) -> None:
    """Drop a database; a SQLite file goes with its folder."""
    if engine != "sqlite":
        await _on_server(engine, f"DROP DATABASE IF EXISTS {name}")


async def durability(engine: str) -> str:
    """What a commit waits for, in the engine's own words."""
    if engine == "sqlite":
        return "WAL, synchronous=FULL"
    names = "version", "innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin"
    rows = await _on_server(engine, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN {names}")
    return ", ".join(f"{name}={value}" for name, value in sorted(rows))


def _server(engine: str) -> str:
    return os.environ[_SERVERS[engine]].rstrip("/")


async def _on_server(engine: str, statement: str) -> list[tuple[str, ...]]:
    made = create_async_engine(_server(engine), isolation_level="AUTOCOMMIT")
    try:
        async with made.connect() as conn:
            result = await conn.execute(text(statement))
            return [tuple(str(one) for one in row) for row in result] if result.returns_rows else []
    finally:
        await made.dispose()
