"""A Sync Service on a fake cluster, and what its tests wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.policy import Policy
from dartjobs.core.world import RayJob, RayJobStatus
from dartjobs.drivers.base import Driver
from dartjobs.models.job import Job
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.services.watch import Until
from dartjobs.store import evidence
from dartjobs.sync.loop import SyncService
from dartjobs.sync.settings import SyncSettings
from tests.fakes.driver import FakeDriver

SPEC = JobSpec(entrypoint="true")
RETRYING = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})
TICK = timedelta(milliseconds=5)
POLICY = Policy(poll=TICK, slowest_poll=TICK, ask=TICK, unreachable=TICK, log_grace=timedelta(milliseconds=50))
SETTINGS = SyncSettings(poll=timedelta(milliseconds=50), survey=timedelta(milliseconds=20), sweep_grace=timedelta(0))


def service_of(
    platform: Platform,
    driver: Driver,
    settings: SyncSettings = SETTINGS,
    *,
    holder: str = "test",
    policy: Policy = POLICY,
) -> SyncService:
    return SyncService(platform, driver, settings, holder=holder, secret=b"s", installation="here", policy=policy)


@asynccontextmanager
async def syncing(
    platform: Platform,
    driver: Driver,
    settings: SyncSettings = SETTINGS,
    *,
    holder: str = "test",
    policy: Policy = POLICY,
) -> AsyncIterator[None]:
    """A Sync Service serves while the context is open."""
    running = asyncio.create_task(service_of(platform, driver, settings, holder=holder, policy=policy).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(platform: Platform, job_id: str, holds: Callable[[Job], bool]) -> Job:
    """The job, once the condition holds."""
    async with asyncio.timeout(60):
        while True:
            job = await service.get(platform, "team", job_id)
            if holds(job):
                return job
            await asyncio.sleep(0.005)


async def the_end(platform: Platform, job_id: str) -> Job:
    """The job, once nothing of it is left."""
    async with asyncio.timeout(60):
        seen = [change async for change in platform.watches.watch("team", job_id, None, Until.TERMINATED)]
    assert isinstance(seen[-1], Job)
    return seen[-1]


async def report(platform: Platform, attempt_id: str, kind: str, **body: object) -> None:
    """As the gateway records what a runner reports."""
    await platform.database.write(partial(evidence.report, attempt_id=attempt_id, kind=kind, body=body))
    await platform.bus.publish(topics.cluster_topic("local"))


async def exited(platform: Platform, attempt_id: str, code: int = 0, *, stopping: bool = False) -> None:
    """The runner's last reports."""
    await report(platform, attempt_id, "log_end", bytes=0)
    await report(platform, attempt_id, "exit", code=code, stopping=stopping)


async def starts(platform: Platform, driver: FakeDriver, job_id: str, number: int = 1) -> Job:
    """See the driver of this attempt submitted, and let it start."""
    job = await until(
        platform, job_id, lambda one: one.attempt.number == number and one.attempt.driver_seen_at is not None
    )
    head = driver.heads[job.attempt.id]
    head.job = RayJob(RayJobStatus.RUNNING)
    await report(platform, job.attempt.id, "start", head_uid=head.head_uid, pid=1)
    return await until(platform, job.id, lambda one: one.job_state is JobState.RUNNING)


async def started(platform: Platform, driver: FakeDriver, spec: JobSpec = SPEC) -> Job:
    """A new job whose driver runs."""
    return await starts(platform, driver, (await service.submit(platform, "team", "ann", spec)).id)
