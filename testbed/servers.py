"""MySQL, MariaDB and Redis as private servers, each on a folder and a port of 127.0.0.1: start, kill, start again.

What was acknowledged survives `kill`: the cheap settings leave out only what guards against the loss of the whole
machine. `innodb_flush_log_at_trx_commit=2` writes the log to the kernel at each commit and syncs it once a second, so a
SIGKILL of the server loses nothing; pages are still written twice, since a kill may tear one. `durable=True` syncs at
every commit, as production does: for benchmarks.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from testbed.errors import TestbedError
from testbed.packages import Recipe, command, unpacked
from testbed.processes import Process

HOST = "127.0.0.1"
USER = PASSWORD = "dartjobs"  # noqa: S105 - of servers that only this machine reaches
ADMIN = "admin"
"""May do everything, such as making the server read-only; same password."""
_START_SECONDS, _STOP_SECONDS, _PEEK_SECONDS = 180.0, 60.0, 1.0


class Server(ABC):
    """One server with data of its own."""

    name: ClassVar[str]
    variable: ClassVar[str]
    """The environment variable by which tests learn its URL."""
    recipe: ClassVar[Recipe]

    def __init__(self, folder: Path, port: int = 0, *, durable: bool = False) -> None:
        """A server on this folder, not started.

        Args:
            folder: its data and its log; made if absent, kept between starts.
            port: 0 takes a free one, now, and keeps it over restarts.
            durable: sync to disk at every commit.
        """
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.durable = durable
        self.process: Process | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """For tests, with the user's name and password."""

    @property
    def log(self) -> Path:
        """Everything that it said, over all starts."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start it, on the data that is there, and wait until it answers.

        Raises:
            TestbedError: it ended, or did not answer in three minutes; with the end of its log.
        """
        root = unpacked(self.recipe)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prepare(root)
        self.process = Process.spawn(self._command(root), self.log)
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self.process.wait(0.05):
                raise _failure(self, "ended while starting")
            if time.monotonic() > deadline:
                self.kill()
                raise _failure(self, "did not answer in time")

    def stop(self) -> None:
        """End it in good order."""
        if self.process is not None:
            self.process.end(_STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL; what it had acknowledged is there when it is started again."""
        if self.process is not None:
            self.process.send(signal.SIGKILL)
            self.process.wait(_STOP_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        if self.process is not None:
            self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self.process.send(signal.SIGCONT)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            with socket.create_connection((HOST, self.port), _PEEK_SECONDS) as connection:
                return self._greets(connection)
        except OSError:
            return False

    @abstractmethod
    def _prepare(self, root: Path) -> None:
        """Make the data folder where there is none."""

    @abstractmethod
    def _command(self, root: Path) -> list[str]: ...

    @abstractmethod
    def _greets(self, connection: socket.socket) -> bool: ...


class SqlServer(Server):
    """What MySQL and MariaDB have in common."""

    program: ClassVar[str]
    options: Sequence[str] = ()
    """More of the server's own, such as `--ssl-ca=…`, from the next start on."""

    @property
    def url(self) -> str:
        """SQLAlchemy's, of no database, for a user who may create databases."""
        return self.url_of(USER)

    def url_of(self, user: str, port: int | None = None) -> str:
        """The same for `ADMIN`, or by another port (a proxy's)."""
        return f"{self.name}+asyncmy://{user}:{PASSWORD}@{HOST}:{port or self.port}"

    def _command(self, root: Path) -> list[str]:
        (self.folder / "init.sql").write_text(_USERS)
        return self._program(
            root,
            f"--port={self.port}",
            f"--bind-address={HOST}",
            "--socket=server.sock",  # relative to the data folder: the length of a socket's path is limited
            f"--pid-file={self.folder}/server.pid",
            f"--init-file={self.folder}/init.sql",
            "--max-connections=500",
            "--innodb-buffer-pool-size=256M",
            *(_DURABLE if self.durable else _CHEAP),
            *self.options,
        )

    def _program(self, root: Path, *options: str) -> list[str]:
        share = root / "usr/share/mysql"
        places = [f"--basedir={root}/usr", f"--lc-messages-dir={share}", f"--character-sets-dir={share}/charsets"]
        data = f"--datadir={self.folder}/data"
        return command(root, self.program, "--no-defaults", *places, data, "--user=root", *options)

    def _prepare(self, root: Path) -> None:
        data = self.folder / "data"
        if data.exists():
            for lock in data.glob("*.sock.lock"):  # names a process that was killed; its id may be another's by now
                lock.unlink()
            return
        try:
            self._initialize(root)
        except subprocess.SubprocessError as error:
            shutil.rmtree(data, ignore_errors=True)
            raise _failure(self, "could not make its data folder") from error

    @abstractmethod
    def _initialize(self, root: Path) -> None: ...

    def _greets(self, connection: socket.socket) -> bool:
        """The server speaks first: a packet's header of four bytes, then version 10 of the protocol."""
        head = 5
        return connection.recv(head, socket.MSG_WAITALL)[4:] == b"\x0a"


class MySQL(SqlServer):
    """MySQL 9.7 LTS, from Debian unstable."""

    name = "mysql"
    variable = "DARTJOBS_TEST_MYSQL_URL"
    recipe = Recipe("mysql", "9.7", "mysql-server-core", ("debian sid",))
    program = "usr/sbin/mysqld"

    def _initialize(self, root: Path) -> None:
        with self.log.open("ab") as log:
            argv = self._program(root, "--initialize-insecure")
            subprocess.run(argv, stdout=log, stderr=log, check=True, timeout=_START_SECONDS)

    def _program(self, root: Path, *options: str) -> list[str]:
        return super()._program(root, "--mysqlx=OFF", "--secure-file-priv=", "--performance-schema=OFF", *options)


class MariaDB(SqlServer):
    """MariaDB 10.11 LTS, from Debian 12."""

    name = "mariadb"
    variable = "DARTJOBS_TEST_MARIADB_URL"
    recipe = Recipe("mariadb", "10.11", "mariadb-server-core", ("debian bookworm", "debian-security bookworm-security"))
    program = "usr/sbin/mariadbd"

    def _initialize(self, root: Path) -> None:
        """What mariadb-install-db does, which finds no program that has to be run by a loader."""
        (self.folder / "data").mkdir()
        names = ("system_tables", "performance_tables", "system_tables_data")
        scripts = [(root / f"usr/share/mysql/mysql_{name}.sql").read_bytes() for name in names]
        script = b"create database mysql;\nuse mysql;\n" + b"\n".join(scripts)
        with self.log.open("ab") as log:
            argv = self._program(root, "--bootstrap")
            subprocess.run(argv, input=script, stdout=log, stderr=log, check=True, timeout=_START_SECONDS)


class Redis(Server):
    """Redis 7.0, from Debian 12, which has no Valkey. Keeps nothing: it carries hints."""

    name = "redis"
    variable = "DARTJOBS_TEST_REDIS_URL"
    recipe = Recipe("redis", "7.0", "redis-tools", ("debian bookworm", "debian-security bookworm-security"))

    @property
    def url(self) -> str:
        """With no password."""
        return f"redis://{HOST}:{self.port}/0"

    def _prepare(self, root: Path) -> None:
        """It needs no data."""

    def _command(self, root: Path) -> list[str]:
        served = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), "--save", ""]
        argv = command(root, "usr/bin/redis-check-rdb", *served)  # one program: it does what it was called by
        argv[argv.index("--argv0") + 1] = "redis-server"
        return argv

    def _greets(self, connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return connection.recv(7, socket.MSG_WAITALL) == b"+PONG\r\n"


KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (MySQL, MariaDB, Redis)}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


_CHEAP = ("--innodb-flush-log-at-trx-commit=2", "--skip-log-bin")
_DURABLE = ("--innodb-flush-log-at-trx-commit=1", "--log-bin=binlog", "--sync-binlog=1", "--server-id=1")
_USERS = f"""\
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, PROCESS ON *.* TO '{USER}'@'%';
CREATE USER IF NOT EXISTS '{ADMIN}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;
"""
"""Read at each start, a statement a line."""


def _failure(server: Server, what: str) -> TestbedError:
    return TestbedError(f"{server.name} {what}:\n{_tail(server.log)}")


def _tail(log: Path, lines: int = 15) -> str:
    with contextlib.suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return "(it said nothing)"
