"""An operator sends an attempt back to the queue: it ends, the next follows at once, and no retry is spent."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.job import Job
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import attempts
from dartjobs.store.database import StaleError
from tests.fakes.driver import FakeDriver
from tests.fakes.platform import platform_at, take_lease
from tests.fakes.syncing import RETRYING, exited, started, starts, syncing, the_end, until


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


async def requeue(platform: Platform, job: Job) -> Job:
    number = job.attempt.number
    return await service.requeue(platform, "team", job.id, by="ops", reason="disk swap", number=number)


async def test_a_running_attempt_stops_and_the_next_spends_no_retry(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver, RETRYING)
        wish = (await requeue(platform, job)).requeue
        second = await starts(platform, driver, job.id, 2)
        assert (await requeue(platform, job)).requeue == wish, "its reply was lost: the next attempt goes on"
        driver.heads[second.attempt.id].head_uid = None
        await starts(platform, driver, job.id, 3)
        await exited(platform, f"{job.id}-3")
        over = await the_end(platform, job.id)
    ends = [move.reason for move in await service.history(platform, "team", job.id) if move.job_state.is_final]
    assert ends[0] is Reason.REQUEUED
    assert {Reason.HEAD_LOST, Reason.COMPLETED} < set(ends)
    assert (over.job_state, over.attempt.number) == (JobState.SUCCEEDED, 3)
    assert driver.calls["stop_driver"] == 1


async def test_before_the_driver_was_submitted_it_ends_at_once(platform: Platform) -> None:
    driver = FakeDriver()
    driver.ready_at_once = False
    async with syncing(platform, driver):
        job = await service.submit(platform, "team", "ann", RETRYING)
        job = await until(platform, job.id, lambda one: one.attempt.id in driver.heads)
        await requeue(platform, job)
        await until(platform, job.id, lambda one: f"{one.id}-2" in driver.heads and f"{one.id}-1" not in driver.heads)
    history = await service.history(platform, "team", job.id)
    [end] = [move for move in history if move.attempt == 1 and move.resource_state is ResourceState.TERMINATING]
    assert (end.job_state, end.message) == (JobState.STOPPED, "Sent back to the queue by ops: disk swap")
    assert driver.calls["stop_driver"] == 0


async def test_an_exit_that_came_before_the_stop_is_the_outcome(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
    await requeue(platform, job)
    await exited(platform, job.attempt.id)
    async with syncing(platform, driver):
        over = await the_end(platform, job.id)
    assert (over.job_state, over.attempt.number) == (JobState.SUCCEEDED, 1)


async def test_a_users_stop_beats_it(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
    await requeue(platform, job)
    await service.stop(platform, "team", job.id, by="ann", reason="")
    async with syncing(platform, driver):
        over = await the_end(platform, job.id)
    assert (over.job_state, over.attempt.number, over.attempt.reason) == (JobState.STOPPED, 1, Reason.USER_STOP)


async def test_a_users_stop_in_the_same_instant_is_looked_at_before_the_end(platform: Platform) -> None:
    job = await service.submit(platform, "team", "ann", RETRYING)
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))
    job = await service.get(platform, "team", job.id)
    await requeue(platform, job)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    await service.stop(platform, "team", job.id, by="ann", reason="")
    move = Move(Pair(ResourceState.TERMINATING, JobState.STOPPED), Reason.REQUEUED)
    view = loaded.view(UNREACHABLE)
    with pytest.raises(StaleError):
        await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=move, actor="sync"))
