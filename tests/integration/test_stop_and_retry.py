"""A stop and the end that would be retried, in the same instant: both wait for the job's row, and the stop wins."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from dartjobs import Client, Job, JobState, Reason, ResourceState
from tests.chaos.oracle import Ledger
from tests.chaos.world import World, world_on
from tests.fakes.engines import SERVERS, url_on
from tests.fakes.polling import eventually

ROUNDS = 5
_BLOCKED = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT%jobs%FOR UPDATE'"

if SERVERS:  # SQLite has no row to wait for

    @pytest.fixture(params=SERVERS)
    def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
        with asyncio.Runner() as runner:
            database = url_on(request.param, tmp_path)
            yield runner.run(database.__aenter__())
            runner.run(database.__aexit__(None, None, None))

    @pytest.fixture
    def world(url: str, tmp_path: Path) -> Iterator[World]:
        with world_on(tmp_path, url) as made:
            yield made

    async def test_a_stop_in_the_same_instant_as_a_retry_wins(world: World, url: str) -> None:
        ledger = world.installation.folder / "ledger"
        for number in range(ROUNDS):
            await _one_round(world, url, ledger, world.installation.folder / f"gate-{number}")
        starts = Ledger.read(ledger.read_text().splitlines()).starts
        assert len(starts) == ROUNDS
        assert set(starts.values()) == {1}


async def _one_round(world: World, url: str, ledger: Path, gate: Path) -> None:
    with Client(world.apis[0].url) as client, ThreadPoolExecutor(1) as user:
        job_id = client.submit(_fails_once_open(ledger, gate)).id

        async def get() -> Job:
            return await asyncio.to_thread(client.get, job_id)

        await eventually(get, lambda job: job.job_state is JobState.RUNNING)
        async with _session(url) as conn:
            await conn.execute(text("SELECT id FROM jobs WHERE id = :id FOR UPDATE"), {"id": job_id})
            await asyncio.to_thread(gate.touch)
            stopping = user.submit(client.stop, job_id)
            await eventually(lambda: _blocked(url), lambda waiting: waiting >= 2)
        await asyncio.wrap_future(stopping)
        await eventually(get, lambda job: job.attempt.resource_state is ResourceState.TERMINATED)
        events = await asyncio.to_thread(client.events, job_id)
        job = await get()
    assert job.finished_at is not None
    assert [event.attempt for event in events if event.reason is Reason.CLAIMED] == [1], "begun after the stop"
    assert job.attempt.number == 1 or job.job_state is JobState.STOPPED


def _fails_once_open(ledger: Path, gate: Path) -> dict[str, object]:
    script = f'echo "start $DARTJOBS_JOB_ID-$DARTJOBS_ATTEMPT $$" >> {ledger}; until [ -e {gate} ]; do sleep 0.1; done'
    return {"entrypoint": f"{script}; exit 3", "head": {"cpu": 1, "memory": "1Gi"}, "retries": {"user": 5}}


async def _blocked(url: str) -> int:
    async with _session(url) as conn:
        return int(await conn.scalar(text(_BLOCKED)) or 0)


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as conn:
        yield conn
    await engine.dispose()
