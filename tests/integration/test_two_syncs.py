"""Two Sync Services of one cluster, real processes: one stops (SIGSTOP) between what it read and what it then does.

The other takes the lease and brings the job to its end; then the first one goes on where it stopped, and must neither
do anything twice nor harm what lives.
"""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from dartjobs import Client, Job, JobState, ResourceState
from tests.chaos.oracle import Ledger, Told, faults_of_job
from tests.chaos.work import Kind, Work
from tests.chaos.world import World, until_nothing_is_left, world_on
from tests.fakes.engines import SERVERS, url_on
from tests.fakes.parts import Part
from tests.fakes.polling import until

PATIENCE = 120.0
ACTS = {"create": Kind.IS_STOPPED, "submit": Kind.SUCCEEDS, "stop_driver": Kind.IS_STOPPED, "delete": Kind.SUCCEEDS}
"""What it stops before, and a job that leads there."""


@pytest.fixture(scope="module", params=SERVERS or ["sqlite"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("two")
    with asyncio.Runner() as runner:
        database = url_on(request.param, folder)
        url = runner.run(database.__aenter__())
        try:
            with world_on(folder, url, DARTJOBS_SYNC_FULL_PASS="PT1S", DARTJOBS_SYNC_SWEEP_GRACE="PT0S") as made:
                (folder / "processes" / "pauses").mkdir(parents=True)
                yield made
        finally:
            runner.run(database.__aexit__(None, None, None))


@pytest.mark.parametrize("act", ACTS)
def test_one_that_was_stopped_past_its_lease_does_nothing_twice(world: World, act: str) -> None:
    folder, work = world.installation.folder, Work(f"before-{act}", ACTS[act], 0.0, 10, 0.0)
    ledger = folder / "ledger"
    ledger.touch()
    (folder / "processes" / "pauses" / act).touch()
    with Client(world.apis[0].url) as client:
        job_id = client.submit(work.spec(ledger, act, ray=False)).id
        if act == "stop_driver":
            until(lambda: client.get(job_id).job_state is JobState.RUNNING, PATIENCE)
            client.stop(job_id)
        stopped = _stopped(world, act)
        if act == "create":
            client.stop(job_id)
        until(lambda: _is_over(client.get(job_id)), PATIENCE)
        lost = _times_lost(stopped)
        os.kill(stopped.pid, signal.SIGCONT)
        until(lambda: _times_lost(stopped) > lost, PATIENCE)
        assert until_nothing_is_left(world, PATIENCE) == []
        job = client.get(job_id)
        begun = job.attempt.driver_started_at is not None
        told = Told(job, client.events(job_id), b"".join(client.logs(job_id)) if begun else b"")
        assert faults_of_job(told, work, Ledger.read(ledger.read_text().splitlines()), strict=True) == []
        assert begun == (act != "create")

        next_work = Work(f"after-{act}", Kind.SUCCEEDS, 0.0, 10, 0.0)
        next_id = client.submit(next_work.spec(ledger, act, ray=False)).id
        assert client.wait(next_id, timeout=PATIENCE).job_state is JobState.SUCCEEDED
        until(lambda: _is_over(client.get(next_id)), PATIENCE)
    assert all(count == 1 for count in Ledger.read(ledger.read_text().splitlines()).starts.values())
    assert world.ended_by_themselves() == []


def _stopped(world: World, act: str) -> Part:
    paused = world.installation.folder / "processes" / "paused" / act
    until(paused.exists, PATIENCE)
    pid = int(paused.read_text())
    return next(part for part in world.syncs if part.pid == pid)


def _times_lost(part: Part) -> int:
    return part.said.count("the lease of local is to be taken again")


def _is_over(job: Job) -> bool:
    return job.finished_at is not None and job.attempt.resource_state is ResourceState.TERMINATED
