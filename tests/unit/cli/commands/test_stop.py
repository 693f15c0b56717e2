import json
import threading

from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.fakes.polling import until
from tests.unit.cli.conftest import ABSENT, Run


def test_every_job_named_is_asked_and_one_that_is_missing_is_told(api: FakeApi, run: Run) -> None:
    first, second = api.add().id, api.add().id
    result = run("stop", first, ABSENT, second, "--reason", "too slow", "-o", "name")
    assert (result.exit_code, result.stdout.split()) == (66, [first, second])
    assert f"There is no job {ABSENT}" in result.stderr
    stops = [api.jobs[job_id].job.stop for job_id in (first, second)]
    assert [stop and stop.reason for stop in stops] == ["too slow", "too slow"]


def test_a_finished_job_stays_as_it_is(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    api.end(job_id)
    result = run("stop", job_id, "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)["job_state"]) == (0, "SUCCEEDED")


def test_stop_can_wait_for_the_end_and_that_is_its_success(api: FakeApi, run: Run) -> None:
    job_id = api.add().id

    def obey() -> None:
        until(lambda: api.jobs[job_id].job.stop)
        api.end(job_id, JobState.STOPPED)

    job = threading.Thread(target=obey)
    job.start()
    result = run("stop", job_id, "--wait", "-o", "json")
    job.join()
    assert (result.exit_code, json.loads(result.stdout)["job_state"]) == (0, "STOPPED")
