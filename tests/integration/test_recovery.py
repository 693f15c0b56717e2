"""The whole platform is killed while a job runs; it ends once, its driver was started once, its log is whole."""

from pathlib import Path

import pytest

from tests.integration.conftest import Up

pytestmark = pytest.mark.ray


def test_a_job_survives_the_kill_of_the_whole_platform(up: Up, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    job_id = up.submit("--", "python", "ledger.py", str(ledger), "40")
    up.until(job_id, job_state="RUNNING")
    up.kill()
    up.start()
    assert up.cli("wait", job_id).returncode == 0
    job = up.until(job_id, resource_state="TERMINATED")
    assert (job["job_state"], job["attempt"]["number"], job["attempt"]["exit_code"]) == ("SUCCEEDED", 1, 0)
    assert [line.split()[:2] for line in ledger.read_text().splitlines()] == [[job_id, "1"]]
    expected = [f"line {number} {2 * number}" for number in range(40)] + ["the end"]
    lines = up.cli("logs", job_id).stdout.splitlines()
    assert [line for line in lines if line in set(expected)] == expected
    assert "dartjobs:" not in "".join(lines)
    history = up.cli("history", job_id, "-o", "yaml").stdout
    assert history.count("SUCCEEDED") >= 1


def test_a_job_that_ends_while_the_platform_is_away_is_told_afterwards(up: Up, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    job_id = up.submit("--", "python", "ledger.py", str(ledger), "1")
    up.until(job_id, resource_state="READY")
    up.kill()
    up.start()
    assert up.cli("wait", job_id).returncode == 0
    up.until(job_id, resource_state="TERMINATED")
    assert len(ledger.read_text().splitlines()) == 1
    assert up.cli("logs", job_id, "--tail", "1").stdout == "the end\n"
