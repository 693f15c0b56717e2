"""A lost cluster: nobody writes for it but the controller, and no race lets an attempt slip through."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from dartjobs.core.lost import decide_lost
from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.reason import Reason
from dartjobs.models.spec import GIBIBYTE, JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, leases, lost
from dartjobs.store.clusters import Registration
from dartjobs.store.database import StaleError
from dartjobs.store.leases import CONTROLLER, Lease
from tests.fakes.engines import ENGINES
from tests.fakes.platform import MINUTE, platform_at, take_lease

SPEC = JobSpec(entrypoint="true")
HERE = Registration("local", "id", Capacity(Resources(Decimal(9), 64 * GIBIBYTE)), {})
READY = Move(Pair(ResourceState.READY, JobState.WAITING), Reason.HEAD_READY, "", {}, {"cluster_uid": "c"})


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        await one.database.write(partial(clusters.register, registration=HERE))
        yield one


async def claimed(platform: Platform, lease: Lease) -> str:
    job = await service.submit(platform, "team", "ann", SPEC)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))
    return job.attempt.id


async def end(platform: Platform, controller: Lease, attempt_id: str) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt_id))
    assert loaded is not None
    view = loaded.view(UNREACHABLE)
    record = partial(lost.record_lost, lease=controller, view=view, move=decide_lost(view), actor="controller")
    await platform.database.write(record)


async def test_its_sync_service_writes_no_more_and_the_controller_does(platform: Platform) -> None:
    database = platform.database
    lease, controller = await take_lease(platform), await take_lease(platform, CONTROLLER)
    attempt_id = await claimed(platform, lease)
    before = await database.read(partial(attempts.load, attempt_id=attempt_id))
    assert before is not None
    with pytest.raises(StaleError):
        await end(platform, controller, attempt_id)
    assert await database.write(partial(lost.declare_lost, name="local", by="ops"))
    assert not await database.write(partial(lost.declare_lost, name="local", by="ops"))
    view = before.view(UNREACHABLE)
    for write in (
        partial(attempts.record_move, lease=lease, view=view, move=READY, actor="sync"),
        partial(leases.renew, lease=lease, duration=MINUTE),
        partial(leases.release, lease=lease),
    ):
        with pytest.raises(StaleError):
            await database.write(write)
    assert await database.read(lost.ids_on_lost_clusters) == [attempt_id]
    await end(platform, controller, attempt_id)
    over = await database.read(partial(attempts.load, attempt_id=attempt_id))
    assert over is not None
    assert (over.attempt.pair, over.attempt.reason) == (
        Pair(ResourceState.TERMINATING, JobState.FAILED),
        Reason.CLUSTER_LOST,
    )
    assert await database.read(lost.ids_on_lost_clusters) == []


async def test_no_lease_is_granted_until_it_is_readmitted_and_then_a_newer_one(platform: Platform) -> None:
    lease = await take_lease(platform)
    await platform.database.write(partial(lost.declare_lost, name="local", by="ops"))
    take = partial(leases.acquire, name="local", holder="test", duration=MINUTE)
    assert not await platform.database.read(partial(leases.is_free, name="local", holder="test"))
    assert await platform.database.write(take) is None
    assert await platform.database.write(partial(lost.readmit, name="local", by="ops"))
    assert not await platform.database.write(partial(lost.readmit, name="local", by="ops"))
    again = await platform.database.write(take)
    assert again is not None
    assert again.epoch > lease.epoch + 1


async def test_an_unknown_cluster_cannot_be_lost(platform: Platform) -> None:
    assert not await platform.database.write(partial(lost.declare_lost, name="elsewhere", by="ops"))
    assert not await platform.database.write(partial(lost.readmit, name="elsewhere", by="ops"))


async def test_one_that_is_claimed_in_the_same_instant_is_ended_or_stays_queued(platform: Platform) -> None:
    lease, controller = await take_lease(platform), await take_lease(platform, CONTROLLER)
    jobs = [await service.submit(platform, "team", "ann", SPEC) for _ in range(6)]
    claims = [partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync") for job in jobs]
    declare = partial(lost.declare_lost, name="local", by="ops")
    writes = [platform.database.write(claim) for claim in claims]
    await asyncio.gather(*writes[:3], platform.database.write(declare), *writes[3:], return_exceptions=True)
    for attempt_id in await platform.database.read(lost.ids_on_lost_clusters):
        await end(platform, controller, attempt_id)
    seen = [(await service.get(platform, "team", job.id)).attempt for job in jobs]
    assert {one.pair for one in seen} <= {
        Pair(ResourceState.QUEUED, JobState.WAITING),
        Pair(ResourceState.TERMINATING, JobState.FAILED),
    }
    assert await platform.database.read(lost.ids_on_lost_clusters) == []


async def test_readmission_in_the_same_instant_leaves_no_half_of_it(platform: Platform) -> None:
    lease, controller = await take_lease(platform), await take_lease(platform, CONTROLLER)
    ids = [await claimed(platform, lease) for _ in range(6)]
    await platform.database.write(partial(lost.declare_lost, name="local", by="ops"))
    readmit = platform.database.write(partial(lost.readmit, name="local", by="ops"))
    ends = [end(platform, controller, one) for one in ids]
    answers = await asyncio.gather(*ends[:3], readmit, *ends[3:], return_exceptions=True)
    for one, answer in zip(ids, answers[:3] + answers[4:], strict=True):
        loaded = await platform.database.read(partial(attempts.load, attempt_id=one))
        assert loaded is not None
        is_ended = loaded.attempt.pair == Pair(ResourceState.TERMINATING, JobState.FAILED)
        assert is_ended == (answer is None)
        assert answer is None or isinstance(answer, StaleError)
