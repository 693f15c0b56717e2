import json
import signal
import threading

from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.fakes.polling import until
from tests.fakes.server import Server
from tests.unit.cli.conftest import ABSENT, Run, Start


def test_changes_of_state_go_to_stderr_and_the_job_to_stdout(api: FakeApi, run: Run) -> None:
    job_id = api.add().id

    def live() -> None:
        until(lambda: api.count("GET", "/watch"))
        api.run(job_id)
        api.move(job_id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
        api.run(job_id)
        api.end(job_id)

    mover = threading.Thread(target=live)
    mover.start()
    result = run("wait", job_id, "-o", "json")
    mover.join()
    assert (result.exit_code, json.loads(result.stdout)["job_state"]) == (0, "SUCCEEDED")
    assert result.stderr.splitlines() == [
        "QUEUED, WAITING: the job was recorded",
        "  No cluster is registered yet.",
        "CREATING, WAITING: a cluster with room took the attempt",
        "READY, RUNNING: the entrypoint was started",
        "TERMINATING, FAILED: the Ray head went away while the job needed it",
        "attempt 2: QUEUED, WAITING: another attempt was recorded after one that ended",
        "attempt 2: CREATING, WAITING: a cluster with room took the attempt",
        "attempt 2: READY, RUNNING: the entrypoint was started",
        f"{job_id} SUCCEEDED",
    ]


def test_several_jobs_are_waited_for_and_the_first_failure_counts(api: FakeApi, run: Run) -> None:
    ids = [api.add().id for _ in range(3)]
    api.end(ids[0])
    api.end(ids[1], JobState.FAILED, exit_code=4)
    api.end(ids[2], JobState.FAILED, exit_code=5)
    result = run("wait", *ids, "-o", "name")
    assert (result.exit_code, result.stdout.split()) == (4, ids)
    assert [job["id"] for job in json.loads(run("wait", *ids, "-o", "json").stdout)] == ids


def test_the_time_to_wait_may_be_over(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    result = run("wait", job_id, "--timeout", "0.2s")
    assert (result.exit_code, result.stdout) == (124, "")
    assert f"{job_id} is still QUEUED, WAITING" in result.stderr
    assert run("wait", job_id, "--timeout", "soon").exit_code == 2


def test_waiting_goes_on_over_a_server_that_is_killed(api: FakeApi, server: Server, start: Start) -> None:
    job_id = api.add().id
    process = start("wait", job_id, "-o", "name")
    until(lambda: api.count("GET", "/watch"))
    server.kill()
    api.end(job_id, JobState.FAILED, exit_code=9)
    server.restart()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out.decode()) == (9, f"{job_id}\n")
    assert "trying again" in err.decode()


def test_a_wrong_name_is_told_before_the_others_are_waited_for(api: FakeApi, run: Run) -> None:
    going = api.add().id
    result = run("wait", going, ABSENT)
    assert result.exit_code == 66
    assert api.count("GET", "/watch") == 0


def test_those_that_finished_are_shown_when_the_time_is_over(api: FakeApi, run: Run) -> None:
    over, going = api.add().id, api.add().id
    api.end(over)
    result = run("wait", over, going, "--timeout", "0.2s", "-o", "name")
    assert (result.exit_code, result.stdout) == (124, f"{over}\n")


def test_ctrl_c_says_how_to_come_back(api: FakeApi, start: Start) -> None:
    ids = [api.add().id, api.add().id]
    process = start("wait", *ids)
    until(lambda: api.count("GET", "/watch"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, b"")
    assert f"dartjobs wait {ids[0]} {ids[1]}" in err.decode()
    assert f"dartjobs stop {ids[0]} {ids[1]}" in err.decode()
