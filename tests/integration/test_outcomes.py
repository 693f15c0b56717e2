"""Every way in which a job can end, on real Ray: state, reason, category, exit code, and what to do."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dartjobs.models.reason import Reason
from tests.integration.conftest import Up

pytestmark = pytest.mark.ray


def outcome(job: dict[str, Any]) -> tuple[str, str, str | None, int | None]:
    attempt = job["attempt"]
    return job["job_state"], attempt["reason"], attempt["category"], attempt["exit_code"]


@pytest.mark.parametrize(
    ("script", "code", "expected", "says", "log"),
    [
        ("exits_3.py", 3, ("FAILED", "DRIVER_FAILED", "USER", 3), "exited with code 3", "about to exit with 3"),
        (
            "raises.py",
            1,
            ("FAILED", "DRIVER_FAILED", "USER", 1),
            "exited with code 1",
            "RuntimeError: the data is not there",
        ),
        ("dies.py", 137, ("FAILED", "DRIVER_KILLED", "USER", 137), "SIGKILL", "about to be killed"),
    ],
)
def test_a_driver_that_fails(
    up: Up, script: str, code: int, expected: tuple[str, str, str, int], says: str, log: str
) -> None:
    done = up.cli("submit", "--follow", "--memory", "1Gi", "--name", "fails", "--", "python", script)
    assert done.returncode == code, done.stderr
    assert log in done.stdout
    assert says in done.stderr
    assert Reason(expected[1]).advice.partition("`")[0] in done.stderr
    [job_id] = [line.split()[0] for line in up.cli("list", "--limit", "1", "-o", "name").stdout.splitlines()]
    job = up.until(job_id, resource_state="TERMINATED")
    assert outcome(job) == expected
    assert log in up.cli("logs", job_id).stdout


def test_a_driver_that_ignores_sigterm_is_killed_after_its_grace(up: Up) -> None:
    job_id = up.submit("--grace", "1s", "--", "python", "stubborn.py")
    up.until(job_id, job_state="RUNNING")
    assert up.cli("stop", job_id, "--reason", "enough").returncode == 0
    assert up.cli("wait", job_id).returncode == 137
    job = up.until(job_id, resource_state="TERMINATED")
    assert outcome(job) == ("STOPPED", "USER_STOP", "STOPPED", 137)
    assert "enough" in job["attempt"]["message"]
    assert job["attempt"]["signal"] == "SIGKILL"


def test_fifty_megabytes_arrive_whole(up: Up) -> None:
    job_id = up.submit("--", "python", "loud.py")
    assert up.cli("wait", job_id).returncode == 0
    lines = up.cli("logs", job_id).stdout.splitlines()
    assert len(lines) == 500_000
    assert all(int(line[:9]) == number for number, line in enumerate(lines))
    assert up.cli("logs", job_id, "--tail", "1").stdout == lines[-1] + "\n"


def test_more_than_the_machine_has_ends_at_once_with_both_figures(up: Up) -> None:
    done = up.cli("submit", "--wait", "--cpu", "4096", "--no-working-dir", "--", "true")
    assert done.returncode == 1
    assert "4096 CPU" in done.stderr
    assert "Ask for less" in done.stderr
    [job_id] = up.cli("list", "--limit", "1", "-o", "name").stdout.split()
    assert outcome(up.get(job_id)) == ("FAILED", "EXCEEDS_CAPACITY", "CAPACITY", None)


def test_a_program_that_is_not_there(up: Up) -> None:
    done = up.cli("submit", "--wait", "--memory", "1Gi", "--no-working-dir", "--", "no-such-program", "--flag")
    assert done.returncode == 127
    assert "ENTRYPOINT_FAILED" in done.stderr
    assert "no-such-program" in done.stderr


def test_an_unreadable_file_is_named_before_anything_is_submitted(up: Up, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "secret.bin").write_bytes(b"x")
    (tmp_path / "secret.bin").chmod(0)
    first_asked = ["submit", "-o", "name", "--working-dir", str(tmp_path / "empty"), "--", "true"]
    asked = ["submit", "--working-dir", str(tmp_path), "--", "python", "train.py"]
    ours = len(tmp_path.relative_to(tempfile.gettempdir()).parts)  # one more with xdist
    for parent in [tmp_path, *tmp_path.parents][:ours]:
        parent.chmod(0o755)
    as_nobody = f"""
import os
from dartjobs.cli.main import cli
cli(["--url", {up.url!r}, *{first_asked!r}], standalone_mode=False)
if os.geteuid() == 0:
    os.seteuid(65534)
cli(["--url", {up.url!r}, *{asked!r}])
"""
    (tmp_path / "empty").mkdir()
    done = subprocess.run([sys.executable, "-c", as_nobody], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 65, done.stderr
    assert "secret.bin" in done.stderr
    assert ".rayignore" in done.stderr
    [first] = done.stdout.split()
    assert up.cli("list", "--limit", "1", "-o", "name").stdout.strip() == first
    assert up.cli("stop", first).returncode == 0
