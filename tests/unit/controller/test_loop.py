"""The controller ends what waits in the queue, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.controller.loop import Controller
from dartjobs.controller.settings import ControllerSettings
from dartjobs.core.queueing import Capacity, Resources
from dartjobs.models.job import Job
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import GIBIBYTE, JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services import packages
from dartjobs.services.platform import Platform
from dartjobs.services.watch import Until
from dartjobs.store import clusters
from dartjobs.store.clusters import Registration
from dartjobs.store.tables import attempts, jobs
from tests.fakes.platform import platform_at
from tests.fakes.polling import eventually
from tests.fakes.zips import pieces, ref_of, zipped


@asynccontextmanager
async def controlled(folder: Path) -> AsyncIterator[Platform]:
    async with platform_at(folder) as platform:
        small = Registration("local", "id", Capacity(Resources(Decimal(2), 4 * GIBIBYTE)), {})
        await platform.database.write(partial(clusters.register, registration=small))
        running = asyncio.create_task(Controller(platform, ControllerSettings(), "test").run())
        try:
            yield platform
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def the_end(platform: Platform, job_id: str) -> Job:
    async with asyncio.timeout(20):
        seen = [change async for change in platform.watches.watch("team", job_id, None, Until.TERMINATED)]
    assert isinstance(seen[-1], Job)
    return seen[-1]


async def test_what_no_cluster_can_ever_run_ends_with_the_figures(tmp_path: Path) -> None:
    async with controlled(tmp_path) as platform:
        spec = JobSpec.model_validate({"entrypoint": "true", "head": {"cpu": 99}})
        job = await the_end(platform, (await service.submit(platform, "team", "ann", spec)).id)
        assert (job.job_state, job.resource_state) == (JobState.FAILED, ResourceState.TERMINATED)
        assert (job.attempt.reason, job.attempt.category) == (Reason.EXCEEDS_CAPACITY, Category.CAPACITY)
        assert "99 CPU" in job.attempt.message
        assert "Ask for less" in job.attempt.advice


async def test_a_queued_job_is_stopped_without_a_cluster(tmp_path: Path) -> None:
    async with controlled(tmp_path) as platform:
        job = await service.submit(platform, "team", "ann", JobSpec(entrypoint="true"))
        await service.stop(platform, "team", job.id, by="bob", reason="mistake")
        over = await the_end(platform, job.id)
        assert (over.job_state, over.attempt.reason) == (JobState.STOPPED, Reason.USER_STOP)
        assert over.attempt.message == "Stopped by bob: mistake"
        assert over.attempt.cluster is None


async def test_a_queue_timeout_ends_it(tmp_path: Path) -> None:
    async with controlled(tmp_path) as platform:
        spec = JobSpec.model_validate({"entrypoint": "true", "timeouts": {"queued": "0s"}})
        over = await the_end(platform, (await service.submit(platform, "team", "ann", spec)).id)
        assert (over.attempt.reason, over.attempt.category) == (Reason.QUEUED_TIMEOUT, Category.TIMEOUT)


async def test_a_row_that_cannot_be_recorded_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A newer release gave the first attempt a category that this one does not know."""
    spec = JobSpec.model_validate({"entrypoint": "true", "timeouts": {"queued": "0s"}, "retries": {"timeout": 1}})
    async with platform_at(tmp_path) as platform:
        strange = await service.submit(platform, "team", "ann", spec)
        healthy = await service.submit(platform, "team", "ann", spec)
        await add_attempt_before(platform, strange, category="FROM_THE_FUTURE")
        running = asyncio.create_task(Controller(platform, ControllerSettings(), "test").run())
        over = await the_end(platform, healthy.id)
        assert over.attempt.reason is Reason.QUEUED_TIMEOUT
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def add_attempt_before(platform: Platform, job: Job, *, category: str) -> None:
    async def write(conn: AsyncConnection) -> None:
        row = (await conn.execute(select(attempts).where(attempts.c.job_id == job.id))).one()._asdict()
        second = {"id": f"{job.id}-2", "number": 2}
        await conn.execute(update(attempts).where(attempts.c.job_id == job.id).values(second))
        await conn.execute(insert(attempts).values(row | {"resource_state": "TERMINATED", "job_state": "FAILED"}))
        strange = update(attempts).where(attempts.c.number == 1, attempts.c.job_id == job.id).values(category=category)
        await conn.execute(strange)
        await conn.execute(update(jobs).where(jobs.c.id == job.id).values(latest=2))

    await platform.database.write(write)


async def test_packages_that_nobody_uses_are_swept(tmp_path: Path) -> None:
    data = zipped(a=b"1")
    ref, tick = ref_of(data), timedelta(milliseconds=5)
    settings = ControllerSettings(package_retention=timedelta(0), package_sweep=tick)
    async with platform_at(tmp_path) as platform:
        await packages.put(platform, "team", ref, pieces(data), limit=1_000)
        running = asyncio.create_task(Controller(platform, settings, "test").run())
        assert await eventually(lambda: packages.head(platform, "team", ref), lambda found: found is None) is None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
