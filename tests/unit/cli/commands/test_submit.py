import json
import os
import pty
import signal
from pathlib import Path

import pytest

from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.fakes.polling import until
from tests.unit.cli.conftest import Run, Start


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a program."""
    folder = tmp_path / "My Project"
    folder.mkdir()
    (folder / "main.py").write_text("print('hello')\n")
    monkeypatch.chdir(folder)
    return folder


def test_the_folder_goes_with_the_job_and_names_it(api: FakeApi, run: Run, folder: Path) -> None:
    result = run("submit", "--cpu", "2", "--", "python", "main.py", "--lr", "0.1")
    assert (result.exit_code, folder.exists()) == (0, True)
    ((job_id, known),) = api.jobs.items()
    assert known.job.name == "my-project"
    assert known.job.spec.entrypoint == ["python", "main.py", "--lr", "0.1"]
    assert known.job.spec.runtime_env.working_dir in api.packages
    assert job_id in result.stdout
    assert f"dartjobs logs {job_id} --follow" in result.stderr
    assert f"dartjobs stop {job_id}" in result.stderr


def test_options_of_the_program_need_no_dashes_before_them(api: FakeApi, run: Run) -> None:
    assert run("submit", "--no-working-dir", "python", "x.py", "--cpu", "9").exit_code == 0
    (known,) = api.jobs.values()
    assert known.job.spec.entrypoint == ["python", "x.py", "--cpu", "9"]


def test_the_forms_of_the_output_are_data_only(api: FakeApi, run: Run) -> None:
    as_json = run("submit", "--no-working-dir", "-o", "json", "--", "true")
    as_name = run("submit", "--no-working-dir", "-o", "name", "--", "true")
    first, second = api.jobs
    assert json.loads(as_json.stdout)["id"] == first
    assert as_name.stdout == f"{second}\n"


def test_a_wrong_spec_names_its_fields(api: FakeApi, run: Run) -> None:
    result = run("submit", "--no-working-dir", "--memory", "lots", "--name", "A B", "--", "true")
    assert (result.exit_code, result.stdout, api.jobs) == (65, "", {})
    assert "  head.memory: 'lots' is no quantity" in result.stderr
    assert "  name: lower case letters" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--workers", "many", "--", "x"],
        ["--label", "no-equals-sign", "--", "x"],
        ["--follow", "--wait", "--", "x"],
        ["--follow", "-o", "json", "--", "x"],
        ["--gpu", "half", "--", "x"],
        [],
    ],
)
def test_wrong_flags_are_usage_errors(run: Run, wrong: list[str]) -> None:
    result = run("submit", "--no-working-dir", *wrong)
    assert (result.exit_code, result.stdout) == (2, "")


def test_what_cannot_be_packed_is_told(run: Run, tmp_path: Path) -> None:
    result = run("submit", "--working-dir", str(tmp_path / "none"), "--", "true")
    assert (result.exit_code, result.stdout) == (65, "")
    assert "none" in result.stderr


def test_follow_streams_the_log_and_exits_as_the_job_does(api: FakeApi, start: Start) -> None:
    process = start("submit", "--no-working-dir", "--follow", "--", "x")
    until(lambda: api.jobs)
    (job_id,) = api.jobs
    api.run(job_id)
    api.write(job_id, b"\x1b[31mred\x1b]0;title\x07\n\xff")
    api.end(job_id, JobState.FAILED, exit_code=3, message="The entrypoint exited with code 3.")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (3, b"\x1b[31mred\x1b]0;title\x07\n\xff")
    last = err.decode().splitlines()[-1]
    assert last.startswith(f"{job_id} FAILED, DRIVER_FAILED, exit code 3: The entrypoint exited with code 3.")
    assert f"`dartjobs logs {job_id} --tail 50`" in last


def test_follow_shows_the_log_of_an_attempt_that_failed_before_we_looked(api: FakeApi, run: Run) -> None:
    api.on_submit = lambda job_id: _fail_and_retry(api, job_id)
    result = run("submit", "--no-working-dir", "--follow", "--", "x")
    assert (result.exit_code, result.stdout) == (0, "first\nsecond\n")


def test_wait_prints_the_finished_job_and_exits_as_it_did(api: FakeApi, run: Run) -> None:
    api.on_submit = lambda job_id: api.end(job_id, JobState.STOPPED, message="Stopped by ada.")
    result = run("submit", "--no-working-dir", "--wait", "-o", "json", "--", "x")
    assert result.exit_code == 143
    assert json.loads(result.stdout)["job_state"] == "STOPPED"
    assert "STOPPED, USER_STOP: Stopped by ada." in result.stderr


def test_ctrl_c_while_following_leaves_the_job_alone_and_says_how_to_come_back(api: FakeApi, start: Start) -> None:
    process = start("submit", "--no-working-dir", "--follow", "--", "x")
    until(lambda: api.count("GET", "/logs"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    ((job_id, known),) = api.jobs.items()
    assert (process.returncode, out, known.job.stop) == (130, b"", None)
    assert f"dartjobs logs {job_id} --follow" in err.decode()
    assert f"dartjobs stop {job_id}" in err.decode()
    assert "Traceback" not in err.decode()


def _fail_and_retry(api: FakeApi, job_id: str) -> None:
    api.write(job_id, b"first\n")
    api.end(job_id, JobState.FAILED, retry=True)
    api.write(job_id, b"second\n")
    api.end(job_id)


def test_an_upload_shows_how_far_it_is_on_a_terminal_only(api: FakeApi, run: Run, start: Start, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(os.urandom(3 * 2**20))
    assert "Uploading" not in run("submit", "--working-dir", str(tmp_path), "-o", "name", "--", "x").stderr
    api.packages.clear()
    mine, theirs = pty.openpty()
    process = start("submit", "--working-dir", str(tmp_path), "-o", "name", "--", "x", stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=30)
    with os.fdopen(mine, "rb", buffering=0) as screen:
        assert b"Uploading 3.0 MiB" in screen.read(4_096)
    assert out.decode().strip() in api.jobs
