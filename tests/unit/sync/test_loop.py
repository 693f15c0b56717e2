"""The Sync Service brings database and cluster together, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dartjobs.core.policy import Policy
from dartjobs.core.world import Failure
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.logs import LogQuery, open_log
from dartjobs.services.platform import Platform
from dartjobs.store import attempts
from tests.fakes.driver import REFUSED, FakeDriver, FakeHead
from tests.fakes.platform import platform_at
from tests.fakes.syncing import SPEC, TICK, report, service_of, started, syncing, the_end, until


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


async def test_a_job_goes_its_way_and_leaves_nothing(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await report(platform, job.attempt.id, "log_end", bytes=0)
        await report(platform, job.attempt.id, "exit", code=0)
        over = await the_end(platform, job.id)
    reasons = [move.reason for move in await service.history(platform, "team", job.id)]
    assert reasons == [
        Reason.SUBMITTED,
        Reason.CLAIMED,
        Reason.HEAD_READY,
        Reason.DRIVER_STARTED,
        Reason.COMPLETED,
        Reason.DELETED,
    ]
    assert (over.job_state, over.attempt.exit_code) == (JobState.SUCCEEDED, 0)
    assert driver.heads == {}
    assert (driver.calls["create"], len(driver.submissions)) == (1, 1)
    intent = driver.submissions[0].intent
    assert (intent.head_uid, intent.submission_id) == ("head-1", job.attempt.id)


async def test_a_service_that_comes_back_goes_on_where_it_was(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
    await report(platform, job.attempt.id, "log_end", bytes=0)
    await report(platform, job.attempt.id, "exit", code=3)
    async with syncing(platform, driver):
        over = await the_end(platform, job.id)
    assert (over.attempt.reason, over.attempt.exit_code) == (Reason.DRIVER_FAILED, 3)
    assert (driver.calls["create"], len(driver.submissions)) == (1, 1)


async def test_a_lost_reply_of_a_submit_starts_no_second_driver(platform: Platform) -> None:
    driver = FakeDriver()
    driver.lose_reply_of_submit = True
    async with syncing(platform, driver):
        await started(platform, driver)
    assert len(driver.submissions) == 1


async def test_a_stop_while_it_runs_ends_stopped(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await service.stop(platform, "team", job.id, by="bob", reason="enough")
        over = await the_end(platform, job.id)
    assert (over.job_state, over.attempt.message) == (JobState.STOPPED, "Stopped by bob: enough")
    assert driver.calls["stop_driver"] == 1


async def test_a_stop_while_the_cluster_comes_up_submits_nothing(platform: Platform) -> None:
    driver = FakeDriver()
    driver.ready_at_once = False
    async with syncing(platform, driver):
        job = await service.submit(platform, "team", "ann", SPEC)
        await until(platform, job.id, lambda _: driver.calls["create"] > 0)
        await service.stop(platform, "team", job.id, by="bob", reason="")
        over = await the_end(platform, job.id)
    assert (over.job_state, driver.submissions, driver.heads) == (JobState.STOPPED, [], {})


async def test_a_driver_that_no_stop_ends_dies_with_its_head(platform: Platform) -> None:
    driver = FakeDriver()
    spec = JobSpec.model_validate({"entrypoint": "true", "stop_grace_period": "0s", "timeouts": {"stopping": "0s"}})
    no_margin = Policy(poll=TICK, slowest_poll=TICK, ask=TICK, stop_margin=timedelta(0), log_grace=timedelta(0))
    task = asyncio.create_task(service_of(platform, driver, policy=no_margin).run())
    job = await started(platform, driver, spec)
    await service.stop(platform, "team", job.id, by="bob", reason="")
    over = await the_end(platform, job.id)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (over.job_state, driver.calls["kill_head"]) == (JobState.STOPPED, 1)


async def test_a_lost_head_ends_the_attempt_and_marks_the_log(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await platform.logs.append(job.attempt.id, "driver", 0, b"half a li")
        driver.heads[job.attempt.id].head_uid = None
        over = await the_end(platform, job.id)
    assert (over.attempt.reason, over.attempt.category) == (Reason.HEAD_LOST, Category.INFRASTRUCTURE)
    log = await open_log(platform, "team", job.id, LogQuery())
    text = b"".join([chunk async for chunk in log.chunks]).decode()
    assert text.startswith("half a li\n[dartjobs: ")
    assert log.complete


async def test_a_retry_runs_on_a_cluster_of_its_own(platform: Platform) -> None:
    driver = FakeDriver()
    spec = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})
    async with syncing(platform, driver):
        job = await started(platform, driver, spec)
        driver.heads[job.attempt.id].head_uid = None
        second = await until(
            platform, job.id, lambda one: one.attempt.number == 2 and one.attempt.driver_seen_at is not None
        )
        await report(platform, second.attempt.id, "log_end", bytes=0)
        await report(platform, second.attempt.id, "exit", code=0)
        over = await the_end(platform, job.id)
        await until(platform, job.id, lambda _: driver.heads == {})
    assert (over.job_state, over.attempt.number) == (JobState.SUCCEEDED, 2)
    assert [one.attempt.id for one in driver.submissions] == [f"{job.id}-1", f"{job.id}-2"]


async def test_what_the_cluster_refuses_ends_with_its_words(platform: Platform) -> None:
    driver = FakeDriver()
    driver.refuse["create"] = REFUSED
    async with syncing(platform, driver):
        over = await the_end(platform, (await service.submit(platform, "team", "ann", SPEC)).id)
    assert over.job_state is JobState.FAILED
    assert over.attempt.message == str(REFUSED)


async def test_a_head_that_cannot_come_up_fails_fast(platform: Platform) -> None:
    driver = FakeDriver()
    driver.ready_at_once = False
    async with syncing(platform, driver):
        job = await service.submit(platform, "team", "ann", SPEC)
        await until(platform, job.id, lambda _: bool(driver.heads))
        driver.heads[job.attempt.id].failure = Failure(Reason.HEAD_FAILED, "no such image")
        over = await the_end(platform, job.id)
    assert (over.attempt.reason, over.attempt.message) == (Reason.HEAD_FAILED, "no such image")


async def test_an_unreachable_cluster_fails_nothing(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        driver.reachable = False
        looks = driver.calls["observe"]
        await until(platform, job.id, lambda _: driver.calls["observe"] > looks + 10)
        driver.reachable = True
        await report(platform, job.attempt.id, "log_end", bytes=0)
        await report(platform, job.attempt.id, "exit", code=0)
        over = await the_end(platform, job.id)
    assert over.job_state is JobState.SUCCEEDED


async def test_a_full_cluster_takes_the_next_when_there_is_room(platform: Platform) -> None:
    driver = FakeDriver(cpu=1)
    async with syncing(platform, driver):
        first = await started(platform, driver)
        second = await service.submit(platform, "team", "ann", SPEC)
        waiting = await service.get(platform, "team", second.id)
        assert "local has 0 CPU" in waiting.why
        await report(platform, first.attempt.id, "log_end", bytes=0)
        await report(platform, first.attempt.id, "exit", code=0)
        claimed = await until(platform, second.id, lambda one: one.resource_state is not ResourceState.QUEUED)
    freed = (await service.get(platform, "team", first.id)).attempt.terminated_at
    assert freed is not None
    assert claimed.attempt.entered_at >= freed


async def test_one_malformed_attempt_does_not_stop_the_others(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        broken = await started(platform, driver)
        driver.refuse["stop_driver"] = RuntimeError("a fault of ours")
        await service.stop(platform, "team", broken.id, by="ann", reason="")
        healthy = await started(platform, driver)
    assert healthy.job_state is JobState.RUNNING
    assert "quarantined" in caplog.text


async def test_what_is_left_of_an_attempt_that_is_over_is_swept_and_the_unknown_is_not(platform: Platform) -> None:
    driver = FakeDriver()
    async with syncing(platform, driver):
        job = await started(platform, driver)
        await service.stop(platform, "team", job.id, by="ann", reason="")
        await the_end(platform, job.id)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    driver.heads = {job.attempt.id: FakeHead("left", None), "job-of-somebody-1": FakeHead("other", "other")}
    async with syncing(platform, driver):
        await until(platform, job.id, lambda _: job.attempt.id not in driver.heads)
    assert list(driver.heads) == ["job-of-somebody-1"]
