"""Four jobs at once with different resources, stopped at different moments."""

import pytest

from tests.integration.conftest import Up

pytestmark = pytest.mark.ray


def test_four_jobs_at_once_each_end_as_asked(up: Up) -> None:
    running = up.submit("--grace", "1s", "--cpu", "1", "--resource", "disk=1", "--", "python", "stubborn.py")
    up.until(running, job_state="RUNNING")
    coming = up.submit("--cpu", "500m", "--", "python", "stubborn.py")
    up.until(coming, resource_state="CREATING")
    queued = up.submit("--cpu", "2", "--", "python", "exits_3.py")
    last = up.submit("--cpu", "500m", "--env", "A=1", "--", 'test "$A" = 1 && echo done')

    assert up.get(queued)["resource_state"] == "QUEUED"
    assert "Waiting for 2 CPU" in up.get(queued)["why"]
    assert up.cli("stop", queued, coming, running).returncode == 0
    states = {one: up.until(one, job_state="STOPPED", resource_state="TERMINATED") for one in (queued, coming)}
    assert states[queued]["attempt"]["cluster"] is None
    assert states[coming]["attempt"]["driver_started_at"] is None
    assert up.cli("wait", last).returncode == 0
    assert up.cli("logs", last).stdout == "done\n"
    stopped = up.until(running, job_state="STOPPED", resource_state="TERMINATED")
    assert stopped["attempt"]["driver_started_at"] is not None
