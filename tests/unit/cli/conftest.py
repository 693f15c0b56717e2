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

    def run(*args: str, **options: Any) -> Result:
        return CliRunner(env={"DARTJOBS_URL": server.url}).invoke(cli, args, prog_name="dartjobs", **options)

    return run


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Start the command line as a program of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: str, stdout: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
        environ = {**os.environ, "DARTJOBS_URL": server.url}
        command = [sys.executable, "-m", "dartjobs", *args]
        process = subprocess.Popen(command, env=environ, stdout=stdout, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
