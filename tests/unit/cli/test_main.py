import os
import subprocess
import sys

from tests.unit.cli.conftest import ABSENT, Run


def program(*args: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-X", "importtime", "-m", "dartjobs", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})


def test_help_and_version_load_neither_http_nor_pydantic_nor_yaml() -> None:
    for option in ("--help", "--version"):
        done = program(option)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert done.returncode == 0
        assert "click" in loaded
        assert not loaded & {"httpx", "pydantic", "yaml", "rich", "asyncio", "fastapi", "ray"}


def test_help_lists_every_command_and_the_exit_codes(run: Run) -> None:
    shown = run("--help").stdout
    for word in ("up", "submit", "list", "get", "logs", "wait", "stop", "history", "Exit codes:", "124"):
        assert word in shown


def test_a_command_that_is_not_there_is_a_usage_error(run: Run) -> None:
    result = run("lst")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'lst'" in result.stderr


def test_no_server_is_told_in_a_line_and_with_its_exit_code() -> None:
    done = program("list", DARTJOBS_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Error: Cannot reach http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_namespace_further_right_wins(run: Run) -> None:
    assert "in namespace two" in run("-n", "one", "get", ABSENT, "-n", "two").stderr
    assert "in namespace one" in run("-n", "one", "get", ABSENT).stderr
