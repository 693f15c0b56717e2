"""SQLAlchemy engines as this store needs them: one for transactions, one for reading.

MySQL and MariaDB: READ COMMITTED, strict, UTC, UTF-8. Under READ COMMITTED each statement has a snapshot of its own, so
a reading transaction would promise nothing that autocommit does not, and costs a round trip more. SQLite: WAL,
`synchronous=FULL`; writers take `BEGIN IMMEDIATE` one after another.
"""

import ssl
import time
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from dartjobs.store.failures import Failure, failure_of
from dartjobs.store.settings import DatabaseSettings
from dartjobs.store.tables import to_json

WRITE = "dartjobs_write"
"""Execution option: the transaction may write."""
_SQLITE_LOCK_SECONDS = 30.0
_SESSION = (
    "SET SESSION time_zone='+00:00', innodb_lock_wait_timeout={lock_timeout}, wait_timeout={idle_timeout}, "
    "sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)


class Engines:
    """Two engines on one database; on SQLite they are one."""

    def __init__(self, settings: DatabaseSettings) -> None:
        url = settings.url.get_secret_value()
        self._distrusted_at = 0.0
        self._idle_seconds = settings.idle_timeout / 2
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self.writer = self.reader = create_async_engine(url, **_pool(settings))
            _prepare_sqlite(self.writer)
            return
        arguments = {"connect_args": _connect_arguments(settings), **_pool(settings)}
        self.writer = create_async_engine(url, isolation_level="READ COMMITTED", **arguments)
        self.reader = create_async_engine(url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **arguments)
        for engine in (self.writer, self.reader):
            self._watch(engine)

    def distrust(self) -> None:
        """Use no connection again that was made before now: one of them did not answer, and they are all alike."""
        self._distrusted_at = time.monotonic()

    async def close(self) -> None:
        """Close every connection."""
        for engine in {self.writer, self.reader}:
            await engine.dispose()

    def _watch(self, engine: AsyncEngine) -> None:
        @event.listens_for(engine.sync_engine, "connect")
        def _on_connect(_connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
            entry.info["since"] = entry.info["used"] = time.monotonic()

        @event.listens_for(engine.sync_engine, "checkin")
        def _on_checkin(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
            entry.info["used"] = time.monotonic()

        @event.listens_for(engine.sync_engine, "checkout")
        def _on_checkout(
            _connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
        ) -> None:
            idle = time.monotonic() - entry.info["used"]
            if entry.info["since"] <= self._distrusted_at or idle > self._idle_seconds:
                raise DisconnectionError

        @event.listens_for(engine.sync_engine, "handle_error")
        def _on_error(context: ExceptionContext) -> None:
            error = context.sqlalchemy_exception
            if isinstance(error, DBAPIError) and failure_of(error) in {Failure.LOST, Failure.READ_ONLY}:
                context.is_disconnect = True  # SQLAlchemy discards it, and every other that is as old


def _pool(settings: DatabaseSettings) -> dict[str, Any]:
    return {
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        "json_serializer": to_json,
        "pool_reset_on_return": None,  # whoever takes a connection commits, rolls back, or discards it
    }


def _connect_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": settings.connect_timeout,
        "init_command": _SESSION.format(lock_timeout=settings.lock_timeout, idle_timeout=settings.idle_timeout),
    }
    if settings.tls_ca is not None:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert)
        arguments["ssl"] = context
    return arguments


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={int(_SQLITE_LOCK_SECONDS * 1000)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
