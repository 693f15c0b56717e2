"""What went wrong in a transaction, and whether to run it again: by the error's number, never by its text.

Numbers: https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html, the client's in
client-error-reference.html beside it, MariaDB's in https://mariadb.com/kb/en/mariadb-error-code-reference/,
SQLite's in https://sqlite.org/rescode.html.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError


class Failure(Enum):
    """What to do about it."""

    CONFLICT = "conflict"
    """Another transaction was in the way and this one was rolled back: run it again on the same connection."""
    LOST = "lost"
    """The connection is gone, or the server: run it again on a fresh one. A commit may have been made."""
    READ_ONLY = "read-only"
    """This server is not the primary any more: run it again on a fresh connection, which may lead to another server."""
    DUPLICATE = "duplicate"
    """Somebody inserted the same key: run it again a few times, it will see that row. Else it is our own fault."""
    UNAVAILABLE = "unavailable"
    """The database cannot do it now, and trying again at once would not help."""
    FAULT = "fault"
    """The statement is wrong: nobody but a programmer can mend it."""


_MYSQL: dict[int, Failure] = {
    1020: Failure.CONFLICT,  # MariaDB: record has changed since last read
    1205: Failure.CONFLICT,  # lock wait timeout
    1213: Failure.CONFLICT,  # deadlock
    1317: Failure.CONFLICT,  # query interrupted: KILL QUERY
    1412: Failure.CONFLICT,  # table definition has changed: a migration ran
    1040: Failure.LOST,  # too many connections
    1053: Failure.LOST,  # server shutdown in progress
    1152: Failure.LOST,  # aborted connection
    1158: Failure.LOST,  # error reading communication packets
    1159: Failure.LOST,  # timeout reading them
    1160: Failure.LOST,  # error writing them
    1161: Failure.LOST,  # timeout writing them
    1927: Failure.LOST,  # MariaDB: connection was killed
    2002: Failure.LOST,  # cannot connect by socket
    2003: Failure.LOST,  # cannot connect
    2005: Failure.LOST,  # unknown host: a name server is away
    2006: Failure.LOST,  # server has gone away
    2013: Failure.LOST,  # lost connection during query
    2014: Failure.LOST,  # commands out of sync: what this connection says belongs to somebody else
    2055: Failure.LOST,  # lost connection
    3169: Failure.LOST,  # session was killed
    4031: Failure.LOST,  # disconnected for inactivity
    1290: Failure.READ_ONLY,  # running with --read-only or --super-read-only
    1792: Failure.READ_ONLY,  # cannot execute in a READ ONLY transaction
    1836: Failure.READ_ONLY,  # running in read-only mode
    1022: Failure.DUPLICATE,  # duplicate key in table
    1062: Failure.DUPLICATE,  # duplicate entry
    1586: Failure.DUPLICATE,  # duplicate entry, with the key's name
    1021: Failure.UNAVAILABLE,  # disk full
    1044: Failure.UNAVAILABLE,  # access denied to the database
    1045: Failure.UNAVAILABLE,  # access denied
    1049: Failure.UNAVAILABLE,  # unknown database
    1114: Failure.UNAVAILABLE,  # table is full
    1146: Failure.UNAVAILABLE,  # no such table: not migrated yet
    1203: Failure.UNAVAILABLE,  # user has too many connections
    1226: Failure.UNAVAILABLE,  # user has exceeded a resource
    2026: Failure.UNAVAILABLE,  # TLS
}
_SQLITE: dict[int, Failure] = {
    sqlite3.SQLITE_BUSY: Failure.CONFLICT,
    sqlite3.SQLITE_LOCKED: Failure.CONFLICT,
    sqlite3.SQLITE_SCHEMA: Failure.CONFLICT,  # a migration ran
    sqlite3.SQLITE_CANTOPEN: Failure.UNAVAILABLE,
    sqlite3.SQLITE_CORRUPT: Failure.UNAVAILABLE,
    sqlite3.SQLITE_FULL: Failure.UNAVAILABLE,
    sqlite3.SQLITE_IOERR: Failure.UNAVAILABLE,
    sqlite3.SQLITE_NOMEM: Failure.UNAVAILABLE,
    sqlite3.SQLITE_NOTADB: Failure.UNAVAILABLE,
    sqlite3.SQLITE_PERM: Failure.UNAVAILABLE,
    sqlite3.SQLITE_READONLY: Failure.UNAVAILABLE,
}
_SQLITE_DUPLICATES = frozenset({sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE})
_PRIMARY_CODE = 0xFF
"""SQLite's extended codes hold the primary one in their lowest byte."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a transaction is run again."""

    seconds: float = 10.0
    """No run begins after so long."""
    duplicates: int = 3
    """Runs that may end by a duplicate key."""
    first_delay: float = 0.02
    longest_delay: float = 1.0

    def delay(self, failure: Failure, run: int, elapsed: float, luck: float) -> float | None:
        """Seconds to wait before the next run; None: give up.

        Args:
            failure: how the run ended.
            run: which one, from 1.
            elapsed: seconds since the first began.
            luck: in [0, 1), so that those that were in each other's way do not meet again ("full jitter").
        """
        if failure is Failure.DUPLICATE:
            return luck * self.first_delay if run < self.duplicates else None
        if failure in {Failure.UNAVAILABLE, Failure.FAULT}:
            return None
        if failure is Failure.LOST and run == 1:
            return 0.0  # most often an idle connection that the server or a firewall had dropped: a fresh one does
        delay = luck * min(self.longest_delay, self.first_delay * 2 ** min(run, 10))
        return delay if elapsed + delay < self.seconds else None


def failure_of(error: DBAPIError) -> Failure:
    """What kind of failure an error of the driver is."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    code = number_of(error)
    known = Failure.FAULT if code is None else _MYSQL.get(code, Failure.FAULT)
    return Failure.LOST if known is Failure.FAULT and _is_about_the_connection(error) else known


def number_of(error: DBAPIError) -> int | None:
    """MySQL's number of an error; 0 is the driver's own "not connected"."""
    arguments = () if error.orig is None else error.orig.args
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _is_about_the_connection(error: DBAPIError) -> bool:
    return error.connection_invalidated or number_of(error) in {None, 0}


def _of_sqlite(cause: sqlite3.Error) -> Failure:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return Failure.FAULT
    if code in _SQLITE_DUPLICATES:
        return Failure.DUPLICATE
    if code == sqlite3.SQLITE_ERROR and "no such table" in str(cause):
        return Failure.UNAVAILABLE  # not migrated yet; SQLite has no number for it
    return _SQLITE.get(code & _PRIMARY_CODE, Failure.FAULT)
