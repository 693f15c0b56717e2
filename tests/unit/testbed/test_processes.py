"""A process is ended by what it is, not by its number alone."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.processes import Process

SECONDS = 60.0


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = Process.spawn(["/bin/sleep", "600"], tmp_path / "log")
    yield process
    process.send(signal.SIGKILL)
    process.wait(SECONDS)


def test_a_process_lives_until_it_is_ended(sleeper: Process) -> None:
    assert sleeper.is_alive()
    assert not sleeper.wait(0)
    sleeper.end(SECONDS)
    assert not sleeper.is_alive()


def test_another_process_by_the_same_id_is_left_alone(sleeper: Process) -> None:
    stale = replace(sleeper, started="1")
    assert not stale.is_alive()
    stale.end(SECONDS)
    assert sleeper.is_alive()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process.spawn(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], log)
    while "ready" not in log.read_text():
        assert not process.wait(0.01)
    process.end(0.5)
    assert not process.is_alive()


def test_a_process_that_is_gone_needs_no_ending() -> None:
    gone = Process(os.getpid(), "not when this one was started")
    gone.send(signal.SIGKILL)
    assert gone.wait(0)
