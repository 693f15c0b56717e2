"""What is posted to Ray."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dartjobs.drivers.base import FinalDriverError, PackageRefusedError, Submission
from dartjobs.drivers.submission import check_package_size, job_request, package_name
from dartjobs.models.job import SubmitIntent
from dartjobs.models.spec import JobSpec
from tests.conformance.driver import new_attempt

REF = f"sha256:{'ab' * 32}"
COMMAND = ["/opt/with space/python", "/runner.py"]


def submission(**spec: Any) -> Submission:
    intent = SubmitIntent(submission_id="id-1", cluster_uid="c", head_uid="h", at=datetime.now(UTC))
    return Submission(new_attempt(), JobSpec.model_validate({"entrypoint": "true"} | spec), "team", intent)


def runner_of(request: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(request["runtime_env"]["env_vars"]["DARTJOBS_RUNNER"])
    return given


def test_ray_runs_the_runner_under_the_id_of_the_intent() -> None:
    request = job_request(submission(), COMMAND)
    assert request["entrypoint"] == "exec '/opt/with space/python' /runner.py"
    assert request["submission_id"] == "id-1"
    assert request["entrypoint_num_cpus"] == 0


@pytest.mark.parametrize("entrypoint", ["echo 'é' && exit 1", ["python", "a b.py", "--x"]])
def test_the_runner_gets_the_entrypoint_as_it_was_written(entrypoint: str | list[str]) -> None:
    given = submission(entrypoint=entrypoint)
    runner = runner_of(job_request(given, COMMAND))
    assert runner["entrypoint"] == entrypoint
    assert (runner["attempt_id"], runner["head_uid"]) == (given.attempt.id, "h")


def test_people_see_the_original_entrypoint_in_rays_metadata() -> None:
    given = submission(entrypoint=["python", "a b.py"], metadata={"team": "blue", "dartjobs.io/job": "forged"})
    assert job_request(given, COMMAND)["metadata"] == {
        "team": "blue",
        "dartjobs.io/job": given.attempt.job_id,
        "dartjobs.io/attempt": given.attempt.id,
        "dartjobs.io/entrypoint": "python 'a b.py'",
    }


def test_ray_waits_longer_than_the_runner_before_it_kills() -> None:
    request = job_request(submission(stop_grace_period="1.5s"), COMMAND)
    assert runner_of(request)["grace_seconds"] == 1.5
    assert request["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "12"


def test_the_runtime_env_is_passed_on() -> None:
    asked = {"pip": ["six==1.17.0"], "env_vars": {"A": "b"}, "working_dir": REF}
    given = submission(runtime_env=asked)
    env = job_request(given, COMMAND)["runtime_env"]
    assert env["pip"] == ["six==1.17.0"]
    assert env["working_dir"] == f"gcs://_ray_pkg_{'ab' * 32}.zip" == f"gcs://{package_name(REF)}"
    assert env["env_vars"]["A"] == "b"
    assert env["env_vars"]["DARTJOBS_JOB_ID"] == given.attempt.job_id
    assert (env["env_vars"]["DARTJOBS_ATTEMPT"], env["env_vars"]["DARTJOBS_NAMESPACE"]) == ("1", "team")
    assert "uv" not in env


def test_what_was_not_asked_for_is_not_sent() -> None:
    assert set(job_request(submission(), COMMAND)["runtime_env"]) == {"env_vars"}


def test_an_entrypoint_that_linux_would_refuse_is_refused_here() -> None:
    with pytest.raises(FinalDriverError, match="too long"):
        job_request(submission(entrypoint=["x" * 32_000] * 5), COMMAND)


def test_a_package_that_ray_would_refuse_is_refused_here() -> None:
    check_package_size(100 * 2**20)
    with pytest.raises(PackageRefusedError, match="104857600"):
        check_package_size(100 * 2**20 + 1)
