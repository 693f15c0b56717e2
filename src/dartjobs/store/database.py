"""Connections, transactions and the database's clock."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from dartjobs.models.problem import UnavailableError
from dartjobs.store.engines import WRITE, Engines
from dartjobs.store.failures import Failure, Patience, failure_of
from dartjobs.store.settings import DatabaseSettings
from dartjobs.store.tables import Instant

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
_UNSURE = "dartjobs_unsure"
_CLOCK = "dartjobs_clock"


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
    options = conn.sync_connection.get_execution_options() if conn.sync_connection else {}
    clock: Callable[[], datetime] | None = options.get(_CLOCK)
    if clock is not None:
        return clock()
    moment: datetime | None = await conn.scalar(select(_Now()))
    if moment is None:
        msg = "the database has no clock"
        raise UnavailableError(msg)
    return moment


def may_be_committed(conn: AsyncConnection) -> bool:
    """Whether an earlier run of this very transaction may have been committed: the reply to its COMMIT was lost.

    Whoever inserts a row under an id of its own then looks for that row first. Guarded updates need not: they find that
    the row has changed. Nor do upserts: they change nothing.
    """
    return bool(conn.sync_connection and conn.sync_connection.get_execution_options().get(_UNSURE, False))


@dataclass(slots=True)
class _Run:
    """What is known of a transaction over all its runs."""

    write: bool
    patience: Patience
    timeout: float | None
    """Seconds for one run."""
    committing: bool = False
    unsure: bool = False


class Database:
    """One database, with transactions that are retried whole.

    Each runs in a task of its own, so that a caller who is cancelled leaves no lock, no half of a transaction and no
    connection on which somebody else's answer is still to come: the transaction goes to its end without him.

    **Every write must be safe to run twice.** The reply to a COMMIT can be lost, and then nobody knows whether it was
    made. See `may_be_committed`.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        luck: Callable[[], float] = random.random,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """`clock` takes the place of the database's own where time is simulated."""
        self._engines = Engines(settings)
        self._patience = Patience(settings.retry_seconds)
        self._timeout = None if self._engines.is_sqlite else settings.transaction_timeout
        self._luck = luck
        self._clock = clock
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    def at(cls, path: Path) -> Self:
        """The embedded default: a SQLite file, used by one process tree."""
        return cls(DatabaseSettings(url=SecretStr(f"sqlite+aiosqlite:///{path}")))

    @property
    def engine(self) -> AsyncEngine:
        """For migrations and tests only."""
        return self._engines.writer

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads; it may be run several times.

        Raises:
            UnavailableError: the database cannot be reached.
        """
        return await self._shielded(self._persist(work, self._run(write=False)))

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction and commit it; the whole is run again when another one was in the way.

        Raises:
            UnavailableError: the database cannot be reached, or was locked for too long.
        """
        return await self._shielded(self._write(work))

    async def check(self, seconds: float = 1.0) -> None:
        """See that the database answers, in so many seconds (not on SQLite), without the patience that work deserves.

        Raises:
            UnavailableError: it does not.
        """
        run = _Run(write=False, patience=Patience(0.0), timeout=self._timeout and seconds)
        await self._shielded(self._persist(now, run))

    async def close(self) -> None:
        """Wait for transactions whose callers have gone, then close every connection."""
        if self._running:
            await asyncio.wait(self._running)
        await self._engines.close()

    def _run(self, *, write: bool) -> _Run:
        return _Run(write, self._patience, self._timeout)

    async def _shielded(self, transaction: Awaitable[T]) -> T:
        task = asyncio.ensure_future(transaction)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: "asyncio.Future[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have gone: then nobody else asks for it, and asyncio would complain

    async def _write(self, work: Work[T]) -> T:
        run = self._run(write=True)
        if not self._engines.is_sqlite:
            return await self._persist(work, run)
        async with self._writing:
            return await self._persist(work, run)

    async def _persist(self, work: Work[T], run: _Run) -> T:
        began, number = time.monotonic(), 0
        while True:
            number += 1
            try:
                return await self._once(work, run)
            except PoolTimeoutError as error:
                msg = "Every connection to the database is in use; try again in a moment."
                raise UnavailableError(msg) from error
            except DBAPIError as error:
                failure = failure_of(error)
                run.unsure = run.unsure or (run.committing and failure is Failure.LOST)
                delay = run.patience.delay(failure, number, time.monotonic() - began, self._luck())
                if delay is None:
                    raise _given_up(error, failure, run) from error
            await asyncio.sleep(delay)

    async def _once(self, work: Work[T], run: _Run) -> T:
        run.committing = False
        try:
            async with asyncio.timeout(run.timeout) as limit:
                return await (self._write_once(work, run) if run.write else self._read_once(work))
        except TimeoutError as error:
            if not limit.expired():
                raise
            self._engines.distrust()
            msg = f"The database did not answer in {run.timeout:g} s. {_outcome(run)}"
            raise UnavailableError(msg) from error

    async def _read_once(self, work: Work[T]) -> T:
        async with self._engines.reader.connect() as conn:
            if self._clock is not None:
                await conn.execution_options(**{_CLOCK: self._clock})
            return await work(conn)

    async def _write_once(self, work: Work[T], run: _Run) -> T:
        async with self._engines.writer.connect() as conn:
            await conn.execution_options(**{WRITE: True, _UNSURE: run.unsure, _CLOCK: self._clock})
            async with conn.begin():
                result = await work(conn)
                run.committing = True
            return result


def _given_up(error: DBAPIError, failure: Failure, run: _Run) -> Exception:
    if failure in {Failure.FAULT, Failure.DUPLICATE}:
        return error
    return UnavailableError(f"The database did not do it ({error.orig}). {_outcome(run)}")


def _outcome(run: _Run) -> str:
    if run.unsure or run.committing:
        return "Whether the change was made is not known; asking for it again does no harm."
    return "Nothing was changed; try again in a moment."
