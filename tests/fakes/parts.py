"""Servers of the platform as processes of their own: started as an operator does, killed as nobody should."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from testbed.servers import free_port
from tests.fakes.polling import until

DARTJOBS = (sys.executable, "-m", "dartjobs")
PATIENCE = 120.0


class Part:
    """One server; `kill`, `pause` and `start` again at will. Everything that it says is in `log`."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str], log: Path, port: int = 0) -> None:
        self.command = command
        self.log = log
        self.url = f"http://127.0.0.1:{port}" if port else ""
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def start(self) -> None:
        assert not self.lives
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, env=self._environment, stdout=log, stderr=log)

    def until_it_serves(self) -> None:
        until(self._serves, PATIENCE)

    def until_it_says(self, words: str) -> None:
        until(lambda: words in self.said or not self.lives, PATIENCE)
        assert words in self.said, self.said

    def kill(self) -> None:
        """SIGKILL; it may have ended by itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def wait(self) -> int:
        """The exit code of one that ends by itself."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def _serves(self) -> bool:
        assert self.lives, self.said
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code < httpx.codes.INTERNAL_SERVER_ERROR
        return False


class Installation:
    """What the servers of one installation share; makes them, and ends all of them by their ids."""

    def __init__(self, folder: Path, database_url: str, bus_url: str = "polling:", **variables: str) -> None:
        self.folder = folder
        self.parts: list[Part] = []
        self.gateway_port = free_port()
        (folder / "secret").write_text(secrets.token_hex(32))
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "DARTJOBS_DATABASE_URL": database_url,
            "DARTJOBS_OBJECT_STORE_URL": (folder / "objects").as_uri(),
            "DARTJOBS_SECRET_FILE": str(folder / "secret"),
            "DARTJOBS_BUS_URL": bus_url,
            "DARTJOBS_SYNC_GATEWAY_URL": f"http://127.0.0.1:{self.gateway_port}",
            "DARTJOBS_LOCAL_DATA_DIR": str(folder / "local"),
            **variables,
        }

    def part(self, *command: str, name: str = "", port: int = 0) -> Part:
        """A server that is not started yet; `command` is a `dartjobs` command, or a whole one."""
        argv = command if Path(command[0]).is_absolute() else (*DARTJOBS, *command)
        log = self.folder / f"{name or '-'.join(command)}-{len(self.parts)}.log"
        made = Part(argv, self.environment, log, port)
        self.parts.append(made)
        return made

    def api(self) -> Part:
        port = free_port()
        return self.part("server", "api", "--port", str(port), name="api", port=port)

    def gateway(self, host: str = "127.0.0.1") -> Part:
        """It listens where runners reach it: `DARTJOBS_SYNC_GATEWAY_URL` must say the same."""
        port = self.gateway_port
        part = self.part("server", "gateway", "--host", host, "--port", str(port), name="gateway", port=port)
        part.url = f"http://{host}:{port}"
        return part

    def upgrade(self) -> None:
        subprocess.run([*DARTJOBS, "db", "upgrade"], env=self.environment, check=True, capture_output=True)


@contextlib.contextmanager
def installation_at(
    folder: Path, database_url: str, bus_url: str = "polling:", **variables: str
) -> Iterator[Installation]:
    """An installation of which every process is gone afterwards."""
    made = Installation(folder, database_url, bus_url, **variables)
    try:
        yield made
    finally:
        for part in made.parts:
            part.kill()
