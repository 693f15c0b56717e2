import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dartjobs.cli.main import cli
from tests.fakes.server import Server

ABSENT = "job-" + "9" * 26
"""An id that no job has."""
Run = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def run(server: Server) -> Run:
    """Run the command line in this process; stdin is empty, and nothing is a terminal."""

    def run(*args: str, env: dict[str, str] | None = None, **options: Any) -> Result:
        return CliRunner().invoke(
            cli, args, prog_name="dartjobs", env={"DARTJOBS_URL": server.url, **(env or {})}, **options
        )

    return run


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Start the command line as a program of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *args: str,
        env: dict[str, str] | None = None,
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> "subprocess.Popen[bytes]":
        environ = {**os.environ, "DARTJOBS_URL": server.url, **(env or {})}
        command = [sys.executable, "-m", "dartjobs", *args]
        process = subprocess.Popen(command, env=environ, stdin=stdin, stdout=stdout, stderr=stderr)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
