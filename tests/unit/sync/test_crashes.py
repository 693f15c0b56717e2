"""A crash between any two effects converges to the same end as a life without one: every such point is walked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from dartjobs.models.job import Job
from dartjobs.models.problem import UnavailableError
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from tests.fakes.driver import FakeDriver
from tests.fakes.platform import platform_at
from tests.fakes.syncing import POLICY, SETTINGS, syncing, until
from tests.properties.faults import Faults, FaultyDatabase, FaultyDriver

T = TypeVar("T")
SHORT = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})
LONG = JobSpec.model_validate({"entrypoint": "sleep 600", "stop_grace_period": "0s"})


class Death(Faults):
    """The process dies at one of its effects, just before it or just after, and does nothing more."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self._at = at
        self._after = after
        self.effects = 0

    async def at(self, effect: Callable[[], Awaitable[T]], *, reply_can_be_lost: bool) -> T:
        del reply_can_be_lost
        self.effects += 1
        if self.effects < self._at:
            return await effect()
        if self.effects == self._at:
            if self._after:
                await effect()
            self.stopped.set()
            await asyncio.Event().wait()
        raise UnavailableError


def is_over(job: Job) -> bool:
    return job.finished_at is not None and job.resource_state is ResourceState.TERMINATED


async def stop_once_submitted(platform: Platform, job_id: str) -> None:
    await until(platform, job_id, lambda job: job.attempt.driver_seen_at is not None)
    await service.stop(platform, "team", job_id, by="ann", reason="")


async def lives(platform: Platform, driver: FakeDriver, death: Death, job_id: str) -> bool:
    """Whether the service gets to the job's end before it dies."""
    mortal = replace(platform, database=FaultyDatabase(platform.database, death))
    async with syncing(mortal, FaultyDriver(driver, death), SETTINGS, policy=POLICY):
        died = asyncio.create_task(death.stopped.wait())
        ended = asyncio.create_task(until(platform, job_id, is_over))
        await asyncio.wait([died, ended], return_when=asyncio.FIRST_COMPLETED)
        for one in (died, ended):
            one.cancel()
        await asyncio.gather(died, ended, return_exceptions=True)
    return not death.stopped.is_set()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("spec", [SHORT, LONG], ids=["to its end", "stopped"])
async def test_every_point_at_which_the_service_can_die(tmp_path: Path, spec: JobSpec, *, after: bool) -> None:
    async with platform_at(tmp_path) as platform:
        for point in range(1, 60):
            driver, death = FakeDriver(lively=True), Death(point, after=after)
            job = await service.submit(platform, "team", "ann", spec)
            stopping = asyncio.create_task(stop_once_submitted(platform, job.id)) if spec is LONG else None
            alive = await lives(platform, driver, death, job.id)
            async with syncing(platform, driver):
                over = await until(platform, job.id, is_over)
            if stopping is not None:
                await stopping
            assert over.job_state is (JobState.STOPPED if spec is LONG else JobState.SUCCEEDED), point
            assert (over.attempt.number, len(driver.submissions), driver.heads) == (1, 1, {}), point
            if alive:
                assert point > 8
                return
    pytest.fail("it never lived to the end")
