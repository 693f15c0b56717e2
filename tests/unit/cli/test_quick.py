"""What is on the way of a command that somebody waits for, counted by what it loads, not by a clock."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import click

from dartjobs.cli.main import COMMANDS, cli
from dartjobs.client import calls, packaging, requests, session
from dartjobs.client.packaging import pack
from dartjobs.client.stat_index import StatIndex, cache_folder
from dartjobs.models import bulk
from dartjobs.models.job import JobId
from tests.fakes.api import FakeApi
from tests.fakes.server import Server

SLOW = {
    "httpx",
    "pydantic",
    "yaml",
    "asyncio",
    "logging",
    "pathspec",
    "zipfile",
    "tempfile",
    "tomlkit",
    "ray",
    "fastapi",
}


def loaded(*args: str, **environ: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "dartjobs", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environ})
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_a_submission_of_unchanged_code_loads_nothing_slow(api: FakeApi, server: Server, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("x")
    later = StatIndex(cache_folder(), clock=lambda: time.time_ns() + 10**11)  # what changed just now is not believed
    with pack(tmp_path, index=later) as package:
        api.packages[package.ref] = package.path.read_bytes()
    found = loaded("submit", "--working-dir", str(tmp_path), "--", "python", "main.py", DARTJOBS_URL=server.url)
    assert len(api.jobs) == 1
    assert "http.client" in found
    assert found & SLOW == set()
    assert found & {"dartjobs.client.watch", "dartjobs.client.logs", "dartjobs.client.packaging"} == set()


def test_reading_jobs_loads_nothing_slow(api: FakeApi, server: Server) -> None:
    job_id = api.add().id
    for words in (("list",), ("get", job_id), ("why", job_id), ("history", job_id)):
        assert loaded(*words, DARTJOBS_URL=server.url) & SLOW == set()


def test_help_says_of_each_command_what_it_says_itself() -> None:
    context = click.Context(cli)
    for name, said in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=200) == said


def test_what_is_written_twice_to_load_less_says_the_same() -> None:
    assert requests.JOB_ID.pattern == get_args(JobId)[1].pattern.strip("^$")
    assert calls.MOST_AT_ONCE == bulk.MOST_AT_ONCE
    assert session.PACKAGE_LIMIT == packaging.DEFAULT_LIMIT
