"""One holder of a cluster's lease at a time, and what happens around its end; lost clusters; damaged rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.bus import base as topics
from dartjobs.controller.loop import Controller
from dartjobs.controller.settings import ControllerSettings
from dartjobs.models.cluster import ClusterState
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services import clusters as cluster_service
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.services.submit import Caller, submit_batch
from dartjobs.store import leases, lost
from tests.fakes.driver import FakeDriver, FakeHead
from tests.fakes.platform import MINUTE, platform_at
from tests.fakes.polling import eventually
from tests.fakes.syncing import (
    RETRYING,
    SETTINGS,
    SPEC,
    exited,
    report,
    started,
    starts,
    syncing,
    the_end,
    until,
)

LONG = SETTINGS.model_copy(update={"lease": timedelta(minutes=10), "heartbeat": timedelta(milliseconds=100)})


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


@asynccontextmanager
async def controlling(platform: Platform) -> AsyncIterator[None]:
    settings = ControllerSettings(poll=timedelta(milliseconds=50))
    running = asyncio.create_task(Controller(platform, settings, "controller").run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def execute(platform: Platform, statement: str, **values: object) -> None:
    async def write(conn: AsyncConnection) -> None:
        await conn.execute(text(statement), values)

    await platform.database.write(write)


async def test_a_standby_takes_over_at_once_when_the_holder_ends_in_order(platform: Platform) -> None:
    """The lease would last for ten minutes more."""
    driver = FakeDriver()
    async with syncing(platform, driver, LONG, holder="first"):
        job = await started(platform, driver)
    async with syncing(platform, driver, LONG, holder="second"):
        await exited(platform, job.attempt.id)
        assert (await the_end(platform, job.id)).job_state is JobState.SUCCEEDED


async def test_a_standby_does_nothing_while_the_lease_is_held(platform: Platform) -> None:
    driver, standby = FakeDriver(), FakeDriver()
    is_free = partial(leases.is_free, name="local", holder="second")
    async with syncing(platform, driver, LONG, holder="first"):
        await eventually(lambda: platform.database.read(is_free), lambda free: not free)
        async with syncing(platform, standby, LONG, holder="second"):
            job = await started(platform, driver)
            await exited(platform, job.attempt.id)
            await the_end(platform, job.id)
    assert not standby.calls


async def test_the_jobs_of_a_lost_cluster_go_on_elsewhere_and_it_is_swept_when_it_is_back(platform: Platform) -> None:
    lost_one, other = FakeDriver(), FakeDriver()
    elsewhere = SETTINGS.model_copy(update={"cluster": "elsewhere"})
    async with controlling(platform):
        async with syncing(platform, lost_one):
            job = await started(platform, lost_one, RETRYING)
        await platform.database.write(partial(lost.declare_lost, name="local", by="ops"))
        await platform.bus.publish(topics.QUEUE)
        async with syncing(platform, lost_one), syncing(platform, other, elsewhere):
            second = await until(platform, job.id, lambda one: one.attempt.cluster == "elsewhere")
            assert list(lost_one.heads) == [job.attempt.id]
            assert second.attempt.number == 2
            await platform.database.write(partial(lost.readmit, name="local", by="ops"))
            await platform.bus.publish(topics.lease_topic("local"))
            await eventually(lambda: _held(lost_one), lambda held: job.attempt.id not in held)
    history = await service.history(platform, "team", job.id)
    ends = [move for move in history if move.attempt == 1 and move.reason is Reason.CLUSTER_LOST]
    assert [(move.resource_state, move.actor) for move in ends] == [(ResourceState.TERMINATING, "controller")]


async def _held(driver: FakeDriver) -> list[str]:
    return list(driver.heads)


async def test_an_exit_that_was_reported_before_the_cluster_was_lost_is_the_outcome(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
    await exited(platform, job.attempt.id)
    await platform.database.write(partial(lost.declare_lost, name="local", by="ops"))
    async with controlling(platform):
        over = await until(platform, job.id, lambda one: one.finished_at is not None)
    assert (over.job_state, over.resource_state) == (JobState.SUCCEEDED, ResourceState.TERMINATING)


async def test_an_unreachable_cluster_says_so_and_takes_nothing_until_it_is_seen(platform: Platform) -> None:
    driver = FakeDriver()
    driver.reachable = False
    quick = SETTINGS.model_copy(update={"heartbeat": timedelta(milliseconds=20)})
    async with syncing(platform, FakeDriver(), quick):
        await eventually(lambda: cluster_service.list_all(platform), lambda seen: seen)
    async with syncing(platform, driver, quick):
        job = await service.submit(platform, "team", "ann", SPEC)
        seen = await eventually(lambda: cluster_service.list_all(platform), lambda all_: all_[0].unreachable_since)
        assert seen[0].state is ClusterState.UNREACHABLE
        assert (await service.get(platform, "team", job.id)).resource_state is ResourceState.QUEUED
        driver.reachable = True
        await starts(platform, driver, job.id)
    assert (await cluster_service.list_all(platform))[0].unreachable_since is None


async def test_a_stop_ends_a_job_whose_specification_cannot_be_read(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        running = await started(platform, driver)
        broken = 'UPDATE jobs SET spec = \'{"entrypoint": 5, "from": "the future"}\' WHERE id = :id'
        await execute(platform, broken, id=running.id)
        await service.stop(platform, "team", running.id, by="ann", reason="")
        over = await the_end(platform, running.id)
        healthy = await started(platform, driver)
    assert over.job_state is JobState.STOPPED
    assert healthy.job_state is JobState.RUNNING


async def test_a_queued_job_whose_specification_cannot_be_read_is_not_started_and_can_be_stopped(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    driver = FakeDriver()
    job = await service.submit(platform, "team", "ann", SPEC)
    await execute(platform, "UPDATE jobs SET spec = 'no JSON' WHERE id = :id", id=job.id)
    async with syncing(platform, driver):
        await started(platform, driver)
        assert job.attempt.id not in driver.heads
    assert f"{job.attempt.id} is quarantined" in caplog.text


async def test_a_row_of_the_queue_that_cannot_be_read_holds_up_nobody(platform: Platform) -> None:
    driver = FakeDriver()
    job = await service.submit(platform, "team", "ann", SPEC)
    await execute(platform, "UPDATE attempts SET selector = '[1]' WHERE id = :id", id=job.attempt.id)
    async with syncing(platform, driver), controlling(platform):
        await started(platform, driver)
        await service.stop(platform, "team", job.id, by="ann", reason="")
        assert (await the_end(platform, job.id)).job_state is JobState.STOPPED


async def test_many_orphans_at_once_are_reported_and_left(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        jobs = [await started(platform, driver) for _ in range(6)]
        for job in jobs:
            await exited(platform, job.attempt.id)
            await the_end(platform, job.id)
    driver.heads = {job.attempt.id: FakeHead("left", None) for job in jobs}
    async with syncing(platform, driver):
        await started(platform, driver)
    assert {job.attempt.id for job in jobs} <= set(driver.heads)
    assert "so many orphans at once" in caplog.text


async def test_what_nobody_knows_does_not_count_as_orphans(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await exited(platform, job.attempt.id)
        await the_end(platform, job.id)
    driver.heads = {f"stranger-{number}": FakeHead("strange", None) for number in range(9)}
    driver.heads[job.attempt.id] = FakeHead("left", None)
    async with syncing(platform, driver):
        await eventually(lambda: _held(driver), lambda held: job.attempt.id not in held)
    assert len(driver.heads) == 9


async def test_jobs_for_another_cluster_do_not_hide_those_behind_them(platform: Platform) -> None:
    spec = {"entrypoint": "true", "cluster_selector": {"gpu": "yes"}}
    await submit_batch(platform, Caller("team", "ann"), [spec] * 600)
    driver = FakeDriver()
    async with syncing(platform, driver):
        assert (await started(platform, driver)).job_state is JobState.RUNNING


async def test_nothing_is_swept_before_its_grace_is_over(platform: Platform) -> None:
    driver = FakeDriver()
    patient = SETTINGS.model_copy(update={"sweep_grace": MINUTE})
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await exited(platform, job.attempt.id)
        await the_end(platform, job.id)
    driver.heads = {job.attempt.id: FakeHead("late", None)}
    async with syncing(platform, driver, patient):
        await started(platform, driver)
        assert job.attempt.id in driver.heads


async def test_hints_and_wakeups_may_be_lost_doubled_and_late(platform: Platform) -> None:
    """Nobody hints here: reports are found by looking, and a wake-up for an attempt that is over harms nobody."""
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await exited(platform, job.attempt.id)
        await the_end(platform, job.id)
        await report(platform, job.attempt.id, "late")
        await execute(platform, "DELETE FROM wakeups")
        again = await started(platform, driver)
        await exited(platform, again.attempt.id)
        await execute(platform, "DELETE FROM wakeups")
        driver.heads[again.attempt.id].head_uid = None
        over = await the_end(platform, again.id)
    assert over.job_state is JobState.SUCCEEDED


async def test_a_fault_of_ours_in_the_sweep_holds_up_no_job(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await exited(platform, job.attempt.id)
        await the_end(platform, job.id)
    driver.heads = {job.attempt.id: FakeHead("left", None)}
    driver.refuse["delete"] = ValueError("a fault of ours")
    async with syncing(platform, driver):
        await started(platform, driver)
    assert "orphans could not be swept: this is a fault of the platform" in caplog.text
