"""A silence is written, and its end; heartbeats are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from dartjobs.core.world import UNREACHABLE, Evidence, Move
from dartjobs.gateway.hearing import Hearing
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, evidence, polls, wakeups
from tests.fakes.platform import platform_at, take_lease
from tests.fakes.polling import eventually

DEAF = GatewaySettings(listen_seconds=0.02, silence_seconds=0.2)
PATIENT = GatewaySettings(listen_seconds=0.02, silence_seconds=600)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


@asynccontextmanager
async def listening(platform: Platform, settings: GatewaySettings) -> AsyncIterator[Hearing]:
    hearing = Hearing(platform, settings)
    task = asyncio.create_task(hearing.listen())
    try:
        yield hearing
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def running(platform: Platform) -> str:
    job = await service.submit(platform, "team", "ann", JobSpec(entrypoint="true"))
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    runs = Move(Pair(ResourceState.READY, JobState.RUNNING), Reason.DRIVER_STARTED)
    view = loaded.view(UNREACHABLE)
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=runs, actor="sync"))
    return job.attempt.id


async def known(platform: Platform, attempt_id: str) -> Evidence:
    return await platform.database.read(partial(evidence.read_evidence, attempt_id=attempt_id))


async def test_a_runner_that_is_never_heard_after_a_restart_counts_as_silent_and_wakes_its_cluster(
    platform: Platform,
) -> None:
    attempt = await running(platform)
    async with listening(platform, DEAF):
        await eventually(lambda: known(platform, attempt), lambda seen: seen.silent_since is not None)
    [wakeup] = await platform.database.read(partial(wakeups.read_wakeups, cluster="local"))
    assert wakeup.attempt_id == attempt
    async with listening(platform, PATIENT) as hearing:
        await eventually(lambda: listens(platform), lambda at: at)
        hearing.heard(attempt)

        async def heard() -> Evidence:
            hearing.heard(attempt)
            return await known(platform, attempt)

        await eventually(heard, lambda seen: seen.silent_since is None)


async def test_a_runner_that_another_gateway_hears_is_not_silent_for_long(platform: Platform) -> None:
    """One gateway expects it in vain, and says so; the other, to which it is connected, takes that back."""
    attempt = await running(platform)
    async with listening(platform, DEAF) as hears:
        hears.heard(attempt)
        await platform.database.write(partial(evidence.record_silence, cluster="local", attempt_ids=[attempt]))

        async def heard() -> Evidence:
            hears.heard(attempt)
            return await known(platform, attempt)

        await eventually(heard, lambda seen: seen.silent_since is None)


async def listens(platform: Platform) -> object:
    return (await platform.database.read(partial(polls.poll, cluster="local"))).gateway_seen_at


async def test_a_runner_that_is_heard_costs_no_row(platform: Platform) -> None:
    attempt = await running(platform)
    async with listening(platform, PATIENT) as hearing:
        hearing.heard(attempt)
        first = await eventually(lambda: listens(platform), lambda at: at)
        await eventually(lambda: listens(platform), lambda at: at != first)
    assert await known(platform, attempt) == Evidence()
    assert await platform.database.read(partial(wakeups.read_wakeups, cluster="local")) == []
