"""What a Sync Service and a controller ask while nothing happens, on every engine."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.reason import Reason
from dartjobs.models.spec import GIBIBYTE, JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, due, evidence, placement, polls, wakeups
from dartjobs.store.attempts import IllegalMoveError, Recorded
from dartjobs.store.clusters import Registration
from dartjobs.store.database import StaleError
from dartjobs.store.loading import Loaded
from dartjobs.store.polls import Poll
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at, take_lease

SPEC = JobSpec(entrypoint="true")
HERE = Registration("local", "id", Capacity(Resources(Decimal(9), 64 * GIBIBYTE)), {})


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        await one.database.write(partial(clusters.register, registration=HERE))
        yield one


async def test_one_statement_says_all_that_is_new(platform: Platform) -> None:
    poll = partial(polls.poll, cluster="local")
    assert await platform.database.read(poll) == Poll([], may_claim=False, gateway_seen_at=None)
    await service.submit(platform, "team", "ann", SPEC)
    await platform.database.write(partial(wakeups.put_wakeups, cluster="local", attempt_ids=["b", "a"]))
    await platform.database.write(partial(wakeups.put_wakeups, cluster="other", attempt_ids=["c"]))
    await platform.database.write(partial(evidence.listens, cluster="local"))
    found = await platform.database.read(poll)
    assert ({one.attempt_id for one in found.wakeups}, found.may_claim) == ({"a", "b"}, True)
    assert found.gateway_seen_at is not None
    await platform.database.write(partial(clusters.set_schedulable, name="local", schedulable=False, by="ops"))
    await platform.database.write(partial(wakeups.delete_wakeups, cluster="local", processed=found.wakeups))
    later = await platform.database.read(poll)
    assert (later.wakeups, later.may_claim) == ([], False)


async def test_claims_take_what_they_can_and_the_rest_does_not_hinder_them(platform: Platform) -> None:
    jobs = [await service.submit(platform, "team", "ann", SPEC) for _ in range(4)]
    await service.stop(platform, "team", jobs[1].id, by="ann", reason="")
    lease = await take_lease(platform)
    ids = [job.attempt.id for job in jobs]
    claim = partial(attempts.claim_many, lease=lease, attempt_ids=[*ids, "nobody"], actor="sync")
    assert await platform.database.write(claim) == [ids[0], *ids[2:]]
    assert await platform.database.write(claim) == []
    promised = await platform.database.read(partial(placement.promised, cluster="local"))
    assert set(promised) == {ids[0], *ids[2:]}
    assert promised[ids[0]] == Resources(Decimal(1), 2 * GIBIBYTE)


async def test_one_stale_change_does_not_hinder_the_others(platform: Platform) -> None:
    jobs = [await service.submit(platform, "team", "ann", SPEC) for _ in range(3)]
    lease = await take_lease(platform)
    ids = [job.attempt.id for job in jobs]
    await platform.database.write(partial(attempts.claim_many, lease=lease, attempt_ids=ids, actor="sync"))
    found = await platform.database.read(partial(attempts.load_many, attempt_ids=ids))
    ready = Move(Pair(ResourceState.READY, JobState.WAITING), Reason.HEAD_READY)
    back = Move(Pair(ResourceState.QUEUED, JobState.WAITING), Reason.RETRIED)
    views = []
    for one in ids:
        loaded = found[one]
        assert isinstance(loaded, Loaded)
        views.append(loaded.view(UNREACHABLE))
    await platform.database.write(partial(attempts.record_move, lease=lease, view=views[1], move=ready, actor="sync"))
    changes = [
        Recorded(views[0], ready),
        Recorded(views[1], ready),
        Recorded(views[2], back),
    ]
    record = partial(attempts.record_changes, lease=lease, changes=changes, actor="sync")
    first, second, third = await platform.database.write(record)
    assert first is None
    assert isinstance(second, StaleError)
    assert isinstance(third, IllegalMoveError)
    states = [(await service.get(platform, "team", job.id)).resource_state for job in jobs]
    assert states == [ResourceState.READY, ResourceState.READY, ResourceState.CREATING]


async def test_a_stop_in_between_stays_due(platform: Platform) -> None:
    quiet, stopped = [await service.submit(platform, "team", "ann", SPEC) for _ in range(2)]
    ids = await platform.database.read(due.due_ids)
    assert set(ids) == {quiet.attempt.id, stopped.attempt.id}
    found = await platform.database.read(partial(attempts.load_many, attempt_ids=ids))
    await service.stop(platform, "team", stopped.id, by="ann", reason="")
    looks = {}
    for one, loaded in found.items():
        assert isinstance(loaded, Loaded)
        looks[one] = loaded.due_at, loaded.now + timedelta(hours=1)
    await platform.database.write(partial(due.set_due, looks=looks))
    assert await platform.database.read(due.due_ids) == [stopped.attempt.id]
    await platform.database.write(due.make_all_due)
    assert len(await platform.database.read(due.due_ids)) == 2
    await platform.database.write(partial(due.put_off, attempt_ids=ids, after=timedelta(minutes=1)))
    assert await platform.database.read(due.due_ids) == []


async def test_a_silence_is_a_report_of_those_who_may_run(platform: Platform) -> None:
    job = await service.submit(platform, "team", "ann", SPEC)
    lease = await take_lease(platform)
    one = job.attempt.id
    silence = partial(evidence.record_silence, cluster="local", attempt_ids=[one, "nobody"])
    assert await platform.database.write(silence) == []
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=one, actor="sync"))
    loaded = await platform.database.read(partial(attempts.load, attempt_id=one))
    assert loaded is not None
    runs = Move(Pair(ResourceState.READY, JobState.RUNNING), Reason.DRIVER_STARTED)
    view = loaded.view(UNREACHABLE)
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=runs, actor="sync"))
    assert await platform.database.write(silence) == [one]
    assert await platform.database.write(silence) == [one]
    assert await platform.database.read(partial(evidence.silent, cluster="local")) == [one]
    await platform.database.write(partial(evidence.end_silence, attempt_ids=[one]))
    assert await platform.database.read(partial(evidence.silent, cluster="local")) == []
    assert await platform.database.read(partial(evidence.expected, cluster="local")) == [one]
