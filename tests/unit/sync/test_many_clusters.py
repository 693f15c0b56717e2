"""Several Sync Services, each with a cluster of its own, on one database."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from dartjobs.models.cluster import ClusterState, Limits, Placement, Settings
from dartjobs.models.job import Job
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services import clusters
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from tests.fakes.driver import FakeDriver
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at
from tests.fakes.polling import eventually
from tests.fakes.syncing import RETRYING, SETTINGS, SPEC, exited, starts, syncing, the_end, until

Drivers = dict[str, FakeDriver]


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        yield one


@asynccontextmanager
async def serving(platform: Platform, **settings: Settings) -> AsyncIterator[Drivers]:
    """A cluster of each name, registered with these settings, and each of them heard."""
    drivers = {name: FakeDriver() for name in settings}
    async with AsyncExitStack() as stack:
        for name, one in settings.items():
            await clusters.add(platform, name, one, by="ops", replace=False)
            mine = SETTINGS.model_copy(update={"cluster": name})
            await stack.enter_async_context(syncing(platform, drivers[name], mine, holder=name))
        await eventually(partial(_states_are, platform, ClusterState.READY), bool)
        yield drivers


async def _states_are(platform: Platform, state: ClusterState) -> bool:
    return {one.state for one in await clusters.list_all(platform)} == {state}


async def _is_empty(platform: Platform, name: str) -> bool:
    return (await clusters.get(platform, name)).attempts == 0


async def submit(platform: Platform) -> Job:
    return await service.submit(platform, "team", "ann", RETRYING)


async def claimed(platform: Platform, job: Job, number: int = 1) -> str:
    """The name of the cluster that took this attempt."""
    taken = await until(platform, job.id, lambda one: one.attempt.number == number and one.attempt.cluster is not None)
    assert taken.attempt.cluster is not None
    return taken.attempt.cluster


async def test_clusters_that_spread_share_what_comes(platform: Platform) -> None:
    spread = Settings(placement=Placement.SPREAD)
    async with serving(platform, east=spread, west=spread) as drivers:
        shares = Counter([await claimed(platform, await submit(platform)) for _ in range(6)])
        assert set(shares) == set(drivers)


async def test_a_retry_goes_to_another_cluster(platform: Platform) -> None:
    async with serving(platform, east=Settings(), west=Settings()) as drivers:
        job = await submit(platform)
        first = await claimed(platform, job)
        await starts(platform, drivers[first], job.id)
        drivers[first].heads[job.attempt.id].head_uid = None
        second = await claimed(platform, job, 2)
        assert second != first
        await starts(platform, drivers[second], job.id, 2)
        await exited(platform, f"{job.id}-2")
        over = await the_end(platform, job.id)
    assert (over.job_state, over.attempt.avoid) == (JobState.SUCCEEDED, first)


async def test_a_drained_cluster_is_emptied_and_its_jobs_run_elsewhere(platform: Platform) -> None:
    async with serving(platform, east=Settings(), west=Settings()) as drivers:
        job = await submit(platform)
        first = await claimed(platform, job)
        await starts(platform, drivers[first], job.id)
        drained = await clusters.drain(platform, first, by="ops", requeue=True, reason="new kernel")
        assert drained.requeued == [job.id]
        second = await claimed(platform, job, 2)
        assert second != first
        await eventually(partial(_is_empty, platform, first), bool)
        assert drivers[first].heads == {}
        await starts(platform, drivers[second], job.id, 2)
        drivers[second].heads[f"{job.id}-2"].head_uid = None
        await clusters.set_schedulable(platform, first, schedulable=True, by="ops")
        third = await claimed(platform, job, 3)
    history = await service.history(platform, "team", job.id)
    ends = [move for move in history if move.resource_state is ResourceState.TERMINATING and move.job_state.is_final]
    assert [move.reason for move in ends[:2]] == [Reason.REQUEUED, Reason.HEAD_LOST]
    assert "new kernel" in ends[0].message
    assert third == first, "the one retry was not spent by the drain, and avoids the cluster that failed"


async def test_one_at_its_limit_leaves_jobs_in_the_queue_and_says_so(platform: Platform) -> None:
    async with serving(platform, east=Settings(limits=Limits(jobs=2))) as drivers:
        jobs = [await service.submit(platform, "team", "ann", SPEC) for _ in range(3)]
        for job in jobs[:2]:
            await starts(platform, drivers["east"], job.id)
        waiting = await service.get(platform, "team", jobs[2].id)
        assert (waiting.resource_state, len(drivers["east"].heads)) == (ResourceState.QUEUED, 2)
        assert waiting.why.endswith("east holds 2 jobs, as many as it may.")
        await exited(platform, jobs[0].attempt.id)
        assert await claimed(platform, jobs[2]) == "east"


async def test_one_that_is_removed_while_its_sync_service_stood_still_registers_itself_anew(
    platform: Platform,
) -> None:
    async with serving(platform, east=Settings(labels={"zone": "a"})):
        pass
    await eventually(partial(_states_are, platform, ClusterState.UNREACHABLE), bool)
    await clusters.remove(platform, "east", by="ops")
    async with syncing(platform, FakeDriver(), SETTINGS.model_copy(update={"cluster": "east"})):
        await eventually(partial(clusters.list_all, platform), bool)
    again = await clusters.get(platform, "east")
    assert (again.labels, again.added_at) == ({}, None)
