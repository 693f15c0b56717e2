"""Clusters as operators register, limit, empty and remove them, on every engine."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from dartjobs.core.lost import decide_lost
from dartjobs.core.queueing import Capacity, ClusterView, Resources
from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.cluster import ClusterState, Limits, Placement, Settings
from dartjobs.models.job import Job
from dartjobs.models.problem import ClusterExistsError, ClusterInUseError, NotFoundError
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import GIBIBYTE, JobSpec, Retries
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import clusters as service
from dartjobs.services import jobs
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, leases, lost, placement, tables
from dartjobs.store.clusters import RecreatedClusterError, Registration
from dartjobs.store.database import StaleError
from dartjobs.store.leases import CONTROLLER, Lease
from dartjobs.store.placement import Place
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at, take_lease

SPEC = JobSpec(entrypoint="true")
TOTAL = Resources(Decimal(9), 64 * GIBIBYTE)
HERE = Registration("local", "id", Capacity(TOTAL), {"zone": "a", "tier": "1"})
FEW = Settings(limits=Limits(jobs=2))


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        yield one


async def add(platform: Platform, settings: Settings, name: str = "local", *, replace: bool = False) -> None:
    await service.add(platform, name, settings, by="ops", replace=replace)


async def register(platform: Platform, registration: Registration = HERE) -> None:
    await platform.database.write(partial(clusters.register, registration=registration))


async def submit(platform: Platform, count: int, namespace: str = "team", spec: JobSpec = SPEC) -> list[Job]:
    return [await jobs.submit(platform, namespace, "ann", spec) for _ in range(count)]


async def claim(platform: Platform, lease: Lease, submitted: list[Job]) -> list[str]:
    ids = [job.attempt.id for job in submitted]
    return await platform.database.write(partial(attempts.claim_many, lease=lease, attempt_ids=ids, actor="sync"))


async def move(platform: Platform, lease: Lease, attempt_id: str, target: Pair, reason: Reason) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt_id))
    assert loaded is not None
    view = loaded.view(UNREACHABLE)
    record = partial(attempts.record_move, lease=lease, view=view, move=Move(target, reason), actor="sync")
    await platform.database.write(record)


async def waiting(platform: Platform, limit: int = 100, after: Place | None = None) -> placement.Waiting:
    seen = ClusterView("local", HERE.capacity, labels=HERE.labels)
    return await platform.database.read(partial(placement.waiting, seen=seen, limit=limit, after=after))


async def test_one_is_registered_before_it_is_seen_and_pinned_when_it_is(platform: Platform) -> None:
    settings = Settings(labels={"zone": "b"}, limits=Limits(cpu=Decimal(4)), placement=Placement.PACK)
    await add(platform, settings)
    before = await service.get(platform, "local")
    assert (before.identity, before.state, before.seen_at) == (None, ClusterState.UNREACHABLE, None)
    assert before.added_by == "ops"
    await register(platform)
    await take_lease(platform)
    after = await service.get(platform, "local")
    assert (after.identity, after.state, after.capacity.cpu) == ("id", ClusterState.READY, Decimal(9))
    assert after.labels == {"zone": "b", "tier": "1"}
    assert (after.limits, after.placement) == (Limits(cpu=Decimal(4)), Placement.PACK)
    with pytest.raises(RecreatedClusterError):
        await register(platform, Registration("local", "another", HERE.capacity, {}))


async def test_one_whose_settings_are_damaged_takes_nothing_and_hinders_nobody(platform: Platform) -> None:
    await register(platform)
    await register(platform, Registration("other", "o", HERE.capacity, {}))
    await submit(platform, 1)
    damaged = update(tables.clusters).where(tables.clusters.c.name == "local").values(settings={"limits": 7})
    await platform.database.write(lambda conn: conn.execute(damaged))
    assert (await waiting(platform)).queue == []
    assert [one.name for one in await platform.database.read(clusters.views)] == ["other"]


async def test_one_that_registers_itself_stays_as_it_is_and_may_be_added_later(platform: Platform) -> None:
    await register(platform)
    assert (await service.get(platform, "local")).added_at is None
    await add(platform, FEW)
    await register(platform)
    assert (await service.get(platform, "local")).limits.jobs == 2


async def test_other_settings_replace_only_where_that_is_said(platform: Platform) -> None:
    await add(platform, FEW)
    first = await service.get(platform, "local")
    await add(platform, FEW)
    assert await service.get(platform, "local") == first
    with pytest.raises(ClusterExistsError):
        await add(platform, Settings())
    await add(platform, Settings(), replace=True)
    assert (await service.get(platform, "local")).limits.jobs is None


async def test_it_never_holds_more_than_its_limits_whoever_claims(platform: Platform) -> None:
    await register(platform)
    await add(platform, FEW)
    lease, waiting_ = await take_lease(platform), await submit(platform, 6)
    taken = await asyncio.gather(*(claim(platform, lease, [job]) for job in waiting_))
    assert sum(map(len, taken)) == 2
    assert (await service.get(platform, "local")).attempts == 2
    one = next(ids[0] for ids in taken if ids)
    await move(platform, lease, one, Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.HEAD_FAILED)
    assert await claim(platform, lease, waiting_) == [], "what is being deleted still holds its place"
    await move(platform, lease, one, Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.DELETED)
    assert len(await claim(platform, lease, waiting_)) == 1


async def test_a_claim_takes_no_more_than_each_of_its_limits(platform: Platform) -> None:
    await register(platform)
    await add(platform, Settings(limits=Limits(cpu=Decimal(3), memory=64 * GIBIBYTE)))
    lease, all_of_them = await take_lease(platform), await submit(platform, 5)
    assert await claim(platform, lease, all_of_them) == [job.attempt.id for job in all_of_them[:3]]


async def test_a_claim_that_comes_after_a_cordon_takes_nothing(platform: Platform) -> None:
    await register(platform)
    lease, [job] = await take_lease(platform), await submit(platform, 1)
    await service.set_schedulable(platform, "local", schedulable=False, by="ops")
    assert await claim(platform, lease, [job]) == []
    with pytest.raises(StaleError):
        await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))


async def test_only_jobs_of_its_namespaces_run_there(platform: Platform) -> None:
    await register(platform)
    await add(platform, Settings(namespaces=["team", "lab"]))
    [strange], [mine], [other] = [await submit(platform, 1, name) for name in ("strange", "team", "lab")]
    assert [one.namespace for one in (await waiting(platform)).queue] == ["team", "lab"]
    lease = await take_lease(platform)
    assert await claim(platform, lease, [strange, mine, other]) == [mine.attempt.id, other.attempt.id]
    why = (await jobs.get(platform, "strange", strange.id)).why
    assert "local takes no jobs of namespace strange" in why


async def test_the_queue_is_read_to_its_end_page_by_page(platform: Platform) -> None:
    await register(platform)
    ids = [job.attempt.id for job in await submit(platform, 5)]
    seen: list[str] = []
    after: Place | None = None
    for _ in range(3):
        page = await waiting(platform, 2, after)
        seen += [one.attempt_id for one in page.queue]
        after = page.more
    assert (seen, after) == (ids, None)


async def test_other_clusters_are_looked_at_only_where_something_is_left_to_them(platform: Platform) -> None:
    await register(platform)
    await register(platform, Registration("other", "o", HERE.capacity, {}))
    await submit(platform, 1)
    assert (await waiting(platform)).others == []
    await add(platform, Settings(placement=Placement.SPREAD))
    assert [one.name for one in (await waiting(platform)).others] == ["other"]


async def test_a_retry_avoids_the_cluster_that_failed_it_and_no_other_failure_does(platform: Platform) -> None:
    await register(platform)
    lease = await take_lease(platform)
    retries = Retries.model_validate({"infrastructure": 1, "user": 1})
    unlucky, faulty = await submit(platform, 2, spec=JobSpec(entrypoint="true", retries=retries))
    await claim(platform, lease, [unlucky, faulty])
    over = Pair(ResourceState.TERMINATING, JobState.FAILED)
    for job, reason in ((unlucky, Reason.HEAD_FAILED), (faulty, Reason.DRIVER_FAILED)):
        loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
        assert loaded is not None
        if reason.category is Category.USER:
            for state, why in ((JobState.WAITING, Reason.HEAD_READY), (JobState.RUNNING, Reason.DRIVER_STARTED)):
                await move(platform, lease, job.attempt.id, Pair(ResourceState.READY, state), why)
        await move(platform, lease, job.attempt.id, over, reason)
    again = [(await jobs.get(platform, "team", job.id)).attempt for job in (unlucky, faulty)]
    assert [(one.number, one.avoid) for one in again] == [(2, "local"), (2, None)]


async def test_a_drain_keeps_what_runs_or_sends_it_back_without_spending_a_retry(platform: Platform) -> None:
    await register(platform)
    lease = await take_lease(platform)
    running = await submit(platform, 3)
    await claim(platform, lease, running)
    [queued] = await submit(platform, 1)
    kept = await service.drain(platform, "local", by="ops", requeue=False, reason="")
    assert (kept.cluster.state, kept.cluster.attempts, kept.requeued) == (ClusterState.CORDONED, 3, [])
    first = await service.drain(platform, "local", by="ops", requeue=True, reason="new kernel", limit=2)
    assert (first.requeued, first.more) == ([job.id for job in running[:2]], True)
    rest = await service.drain(platform, "local", by="ops", requeue=True, reason="new kernel", limit=2)
    assert (rest.requeued, rest.more) == ([running[2].id], False)
    again = await service.drain(platform, "local", by="ops", requeue=True, reason="new kernel")
    assert again.requeued == []
    wish = (await jobs.get(platform, "team", running[0].id)).requeue
    assert wish is not None
    assert (wish.attempt, wish.reason) == (1, "cluster local is drained: new kernel")
    assert (await jobs.get(platform, "team", queued.id)).requeue is None


async def test_one_that_is_alive_is_not_removed(platform: Platform) -> None:
    await register(platform)
    with pytest.raises(NotFoundError):
        await service.remove(platform, "elsewhere", by="ops")
    lease, [job] = await take_lease(platform), await submit(platform, 1)
    with pytest.raises(ClusterInUseError, match="Sync Service"):
        await service.remove(platform, "local", by="ops")
    await claim(platform, lease, [job])
    await platform.database.write(partial(leases.release, lease=lease))
    with pytest.raises(ClusterInUseError, match="1 attempts live"):
        await service.remove(platform, "local", by="ops")


async def test_one_that_is_removed_may_be_another_one_afterwards_under_a_newer_epoch(platform: Platform) -> None:
    await register(platform)
    lease = await take_lease(platform)
    await platform.database.write(partial(leases.release, lease=lease))
    await service.remove(platform, "local", by="ops")
    assert await service.list_all(platform) == []
    [job] = await submit(platform, 1)
    with pytest.raises(StaleError):
        await claim(platform, lease, [job])
    await register(platform, Registration("local", "another", HERE.capacity, {}))
    assert (await take_lease(platform)).epoch > lease.epoch + 1
    assert (await service.get(platform, "local")).identity == "another"


async def test_a_lost_one_is_removed_once_its_attempts_are_ended(platform: Platform) -> None:
    await register(platform)
    lease, controller = await take_lease(platform), await take_lease(platform, CONTROLLER)
    [job] = await submit(platform, 1)
    await claim(platform, lease, [job])
    await service.declare_lost(platform, "local", by="ops", reason="fire")
    with pytest.raises(ClusterInUseError, match="has yet to end 1"):
        await service.remove(platform, "local", by="ops")
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    view = loaded.view(UNREACHABLE)
    record = partial(lost.record_lost, lease=controller, view=view, move=decide_lost(view), actor="controller")
    await platform.database.write(record)
    await service.remove(platform, "local", by="ops")
    ended = await jobs.get(platform, "team", job.id)
    assert (ended.attempt.pair, ended.attempt.reason) == (
        Pair(ResourceState.TERMINATED, JobState.FAILED),
        Reason.CLUSTER_LOST,
    )
    last = (await jobs.history(platform, "team", job.id))[-1]
    assert (last.actor, last.message) == ("ops", "Cluster local was lost and removed: nobody saw what was left there.")


async def test_a_claim_in_the_instant_of_a_removal_is_before_it_or_not_at_all(platform: Platform) -> None:
    await register(platform)
    lease, submitted = await take_lease(platform), await submit(platform, 4)
    await platform.database.write(partial(leases.release, lease=lease))
    claims = [claim(platform, lease, [job]) for job in submitted]
    removal = service.remove(platform, "local", by="ops")
    answers = await asyncio.gather(*claims[:2], removal, *claims[2:], return_exceptions=True)
    taken = [answer for answer in answers if isinstance(answer, list) and answer]
    assert isinstance(answers[2], ClusterInUseError) == bool(taken)
    assert bool(await service.list_all(platform)) == bool(taken)
