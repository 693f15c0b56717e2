"""A whole platform as its users start it: `dartjobs up` in a process of its own, the CLI in others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dartjobs import Client
from dartjobs.drivers.local.plan import temp_dir
from dartjobs.drivers.local.settings import LocalSettings
from tests.fakes.engines import SERVERS
from tests.fakes.polling import until

collect_ignore = [] if SERVERS else ["test_database_faults.py", "test_database_outage.py"]
"""Of what only servers do: see docs/testbed.md."""

DARTJOBS = [sys.executable, "-m", "dartjobs"]
CODE = Path(__file__).parent / "code"


class Up:
    """`dartjobs up` on a data folder; `kill` and `start` again at will."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.session_folders: set[Path] = set()

    def start(self) -> None:
        command = [*DARTJOBS, "up", "--data-dir", str(self.data_dir), "--port", "0"]
        with (self.data_dir.parent / "up.log").open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert (self.data_dir / "url").read_text().strip() == self.url

    def kill(self) -> None:
        """`kill -9` of the whole platform: every process of its group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=30)
        return self.process.returncode

    def cli(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DARTJOBS_URL": self.url}
        fixed = {"capture_output": True, "text": True, "timeout": 240, "env": environment, "cwd": CODE, "check": False}
        return subprocess.run([*DARTJOBS, *arguments], **{**fixed, **options})  # noqa: PLW1510 - it is in `fixed`

    def submit(self, *arguments: str) -> str:
        """Submit from the folder of test jobs; answers the id."""
        done = self.cli("submit", "-o", "name", "--memory", "1Gi", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def get(self, job_id: str) -> dict[str, Any]:
        done = self.cli("get", job_id, "-o", "yaml")
        assert done.returncode == 0, done.stderr
        job: dict[str, Any] = yaml.safe_load(done.stdout)
        self.session_folders.add(temp_dir(LocalSettings(self.data_dir), job["attempt"]["id"]))
        return job

    def until(self, job_id: str, **states: str) -> dict[str, Any]:
        """Wait until the job shows these states."""
        end = time.monotonic() + 150
        with Client(self.url) as client:
            while True:
                job = client.get(job_id)
                if all(str(getattr(job, name)) == value for name, value in states.items()):
                    return self.get(job_id)
                assert time.monotonic() < end, f"{states} is not reached: {job.attempt} {job.why}"
                assert job.finished_at is None or job.job_state == states.get("job_state", job.job_state), job.attempt
                time.sleep(0.1)

    def leftovers(self) -> list[str]:
        """Processes and short-lived folders that belong to Ray clusters of this data folder."""
        here = str(self.data_dir)
        left = [str(path) for path in (self.data_dir / "clusters").glob("*")]
        for process in psutil.process_iter():
            try:
                told = " ".join([*process.cmdline(), *process.environ().values()])
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if here in told and process.pid not in {os.getpid(), self.process.pid if self.process else 0}:
                left.append(f"{process.pid} {process.name()}")
        return left


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One platform for a module; when it is over nothing may be left of it."""
    platform = Up(tmp_path_factory.mktemp("up") / "data")
    platform.start()
    yield platform
    until(lambda: platform.leftovers() == [], 60)
    assert platform.stop() == 0
    assert [path for path in platform.session_folders if path.exists()] == []
