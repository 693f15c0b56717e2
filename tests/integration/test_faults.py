"""One fault at a time, under a job that runs: it goes on, and ends once, with what can be known of it."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dartjobs import Client, Job, JobState, Reason, ResourceState
from tests.chaos.oracle import Ledger
from tests.chaos.world import World, world_at
from tests.fakes.engines import SERVERS
from tests.fakes.polling import until

PATIENCE = 180.0
HEAD = {"cpu": 1, "memory": "1Gi"}
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, database = tmp_path_factory.mktemp("faults"), (SERVERS or ["sqlite"])[0]
    with world_at(folder, database=database, driver="process", redis=True, cpu=32) as made:
        yield made
        assert made.ended_by_themselves() == []


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with Client(world.apis[0].url, reconnect_for=PATIENCE) as one:
        yield one


def waits_for(world: World, gate: str, then: str = "") -> str:
    """A job that writes itself into the ledger, and goes on when its gate is open."""
    folder = world.installation.folder
    start = f'echo "start $DARTJOBS_JOB_ID-$DARTJOBS_ATTEMPT $$" >> {folder}/ledger; echo first'
    return f"{start}; until [ -e {folder}/{gate} ]; do sleep 0.1; done; {then or 'true'}; echo last"


def running(client: Client, script: str) -> str:
    """The id of a job of which a first line has come."""
    job_id = client.submit({"entrypoint": script, "head": HEAD}).id
    until(lambda: client.get(job_id).job_state is JobState.RUNNING, PATIENCE)
    until(lambda: log_of(client, job_id).startswith(b"first\n"), PATIENCE)
    return job_id


def terminated(client: Client, job_id: str) -> Job:
    until(lambda: client.get(job_id).attempt.resource_state is ResourceState.TERMINATED, PATIENCE)
    return client.get(job_id)


def log_of(client: Client, job_id: str) -> bytes:
    return b"".join(client.logs(job_id))


def ends(client: Client, job_id: str) -> int:
    """How often an outcome was recorded."""
    return sum(event.job_state.is_final and not _was_final(event.from_job_state) for event in client.events(job_id))


def _was_final(state: JobState | None) -> bool:
    return state is not None and state.is_final


def starts(world: World, job_id: str) -> int:
    return Ledger.read((world.installation.folder / "ledger").read_text().splitlines()).starts[f"{job_id}-1"]


def test_a_gateway_that_hangs_and_then_dies_loses_nothing(world: World, client: Client) -> None:
    gateway = world.others["gateway"]
    job_id = running(client, waits_for(world, "gate-1", "seq 1 2000"))
    world.parts["gateway"].pause()
    (world.installation.folder / "gate-1").touch()
    runs_out = world.installation.folder / "processes" / "clusters" / f"{job_id}-1"
    assert runs_out.exists()
    assert client.get(job_id).job_state is JobState.RUNNING
    gateway.kill()
    gateway.start()
    job = terminated(client, job_id)
    assert (job.job_state, job.attempt.exit_code) == (JobState.SUCCEEDED, 0)
    assert log_of(client, job_id) == b"first\n" + b"".join(b"%d\n" % one for one in range(1, 2_001)) + b"last\n"
    assert (starts(world, job_id), ends(client, job_id)) == (1, 1)


def test_a_job_runs_on_while_the_database_hangs_and_dies(world: World, client: Client) -> None:
    job_id = running(client, waits_for(world, "gate-2"))
    if "database" in world.servers:
        world.servers["database"].pause()
        (world.installation.folder / "gate-2").touch()
        world.servers["database"].kill()
        world.servers["database"].start()
    (world.installation.folder / "gate-2").touch()
    assert terminated(client, job_id).job_state is JobState.SUCCEEDED
    assert log_of(client, job_id) == b"first\nlast\n"
    assert (starts(world, job_id), ends(client, job_id)) == (1, 1)


def test_what_a_head_had_sent_before_it_died_is_kept_and_the_gap_is_marked(world: World, client: Client) -> None:
    job_id = running(client, waits_for(world, "never"))
    head = world.installation.folder / "processes" / "clusters" / f"{job_id}-1" / "keeper.pid"
    os.kill(int(head.read_text()), signal.SIGKILL)
    job = terminated(client, job_id)
    assert (job.job_state, job.attempt.reason) == (JobState.FAILED, Reason.HEAD_LOST)
    log = log_of(client, job_id)
    assert log.startswith(b"first\n")
    assert b"[dartjobs: the log ends here" in log
    assert (starts(world, job_id), ends(client, job_id)) == (1, 1)


def test_a_large_log_passes_through_bounded_memory(world: World, client: Client) -> None:
    size = 400 * MEBIBYTE
    job_id = client.submit({"entrypoint": f"head -c {size} /dev/zero", "head": HEAD}).id
    assert terminated(client, job_id).job_state is JobState.SUCCEEDED
    kept, told = 0, bytearray()
    for piece in client.logs(job_id):
        kept += piece.count(b"\0")
        told += piece.replace(b"\0", b"")
    dropped = sum(map(int, re.findall(rb"\[dartjobs: (\d+) bytes of log were dropped", told)))
    assert kept + dropped == size, "what a full spool dropped is marked"
    assert kept >= size // 2
    for part in (world.others["gateway"], world.apis[0]):
        assert peak_memory(part.pid) < size


def peak_memory(pid: int) -> int:
    """Bytes that a process ever held."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1_024


def test_a_redis_that_hangs_delays_and_nothing_else(world: World, client: Client) -> None:
    world.servers["redis"].pause()
    try:
        job_id = client.submit({"entrypoint": "echo done", "head": HEAD}).id
        assert client.wait(job_id, timeout=PATIENCE).job_state is JobState.SUCCEEDED
    finally:
        world.servers["redis"].resume()
    assert log_of(client, job_id) == b"done\n"


def test_what_is_submitted_while_sync_services_restart_runs_once(world: World, client: Client) -> None:
    ledger = world.installation.folder / "ledger"
    script = f'echo "start $DARTJOBS_JOB_ID-$DARTJOBS_ATTEMPT $$" >> {ledger}'
    handles = []
    for number in range(100):
        if number % 20 == 0:
            part = world.syncs[number // 20 % 2]
            part.kill()
            part.start()
        handles.append(client.submit({"entrypoint": script, "head": HEAD}))
    for handle in handles:
        assert terminated(client, handle.id).job_state is JobState.SUCCEEDED
    assert [starts(world, handle.id) for handle in handles] == [1] * len(handles)
