"""Moves are guarded by lease, version and table; a stop wins against a retry."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.job import Job, SubmitIntent, Transition
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, jobs, placement
from dartjobs.store.attempts import IllegalMoveError
from dartjobs.store.database import StaleError
from dartjobs.store.leases import Lease
from dartjobs.store.listing import JobFilter
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at, take_lease

SPEC = JobSpec(entrypoint="true")
RETRYING = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})
LOST = Move(Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.HEAD_LOST, "gone")
READY = Move(Pair(ResourceState.READY, JobState.WAITING), Reason.HEAD_READY, "", {}, {"cluster_uid": "c"})


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        yield one


async def claimed(platform: Platform, spec: JobSpec = SPEC) -> tuple[Job, Lease]:
    job = await service.submit(platform, "team", "ann", spec)
    lease = await take_lease(platform)
    claim = partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync")
    await platform.database.write(claim)
    return await service.get(platform, "team", job.id), lease


async def record(platform: Platform, lease: Lease, attempt_id: str, move: Move) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt_id))
    assert loaded is not None
    view = loaded.view(UNREACHABLE)
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=move, actor="sync"))


async def test_a_claim_is_won_once(platform: Platform) -> None:
    job = await service.submit(platform, "team", "ann", SPEC)
    lease = await take_lease(platform)
    claim = partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync")
    results = await asyncio.gather(*(platform.database.write(claim) for _ in range(8)), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, StaleError) for result in results) == 7


async def test_a_stopped_job_is_never_claimed(platform: Platform) -> None:
    job = await service.submit(platform, "team", "ann", SPEC)
    await service.stop(platform, "team", job.id, by="ann", reason="")
    lease = await take_lease(platform)
    with pytest.raises(StaleError):
        await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))


async def test_an_older_epoch_writes_nothing(platform: Platform) -> None:
    job, old = await claimed(platform)
    await take_lease(platform)
    with pytest.raises(StaleError):
        await record(platform, old, job.attempt.id, READY)
    assert (await service.get(platform, "team", job.id)).attempt == job.attempt


async def test_an_older_version_writes_nothing(platform: Platform) -> None:
    job, lease = await claimed(platform)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    await record(platform, lease, job.attempt.id, READY)
    stale = partial(attempts.record_move, lease=lease, view=loaded.view(UNREACHABLE), move=READY, actor="sync")
    with pytest.raises(StaleError):
        await platform.database.write(stale)


async def test_a_move_outside_the_table_is_refused_and_leaves_no_trace(platform: Platform) -> None:
    job, lease = await claimed(platform)
    back = Move(Pair(ResourceState.QUEUED, JobState.WAITING), Reason.RETRIED)
    with pytest.raises(IllegalMoveError):
        await record(platform, lease, job.attempt.id, back)
    assert len(await service.history(platform, "team", job.id)) == 2


async def test_replaying_the_transitions_gives_the_attempt(platform: Platform) -> None:
    job, lease = await claimed(platform)
    await record(platform, lease, job.attempt.id, READY)
    await record(platform, lease, job.attempt.id, LOST)
    await record(platform, lease, job.attempt.id, Move(Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.DELETED))
    job = await service.get(platform, "team", job.id)
    history = await service.history(platform, "team", job.id)
    last: Transition = history[-1]
    assert [one.version for one in history] == [1, 2, 3, 4, 5]
    assert (last.resource_state, last.job_state, last.version) == (*job.attempt.pair, job.attempt.version)
    assert all(
        (before.resource_state, before.job_state) == (after.from_resource_state, after.from_job_state)
        for before, after in pairwise(history)
    )
    assert (job.attempt.reason, job.attempt.category) == (Reason.HEAD_LOST, Category.INFRASTRUCTURE)
    assert job.attempt.message == "gone"
    assert job.finished_at == history[3].at
    assert job.attempt.terminated_at == last.at


async def test_a_retry_is_a_new_attempt_and_the_job_goes_on(platform: Platform) -> None:
    job, lease = await claimed(platform, RETRYING)
    await record(platform, lease, job.attempt.id, LOST)
    again = await service.get(platform, "team", job.id)
    assert again.finished_at is None
    assert (again.attempt.number, again.attempt.pair) == (2, Pair(ResourceState.QUEUED, JobState.WAITING))
    claim = partial(attempts.claim, lease=lease, attempt_id=again.attempt.id, actor="sync")
    await platform.database.write(claim)
    await record(platform, lease, again.attempt.id, LOST)
    over = await service.get(platform, "team", job.id)
    assert over.attempt.number == 2
    assert over.finished_at is not None


async def test_a_stop_in_the_same_instant_as_a_retry_wins(platform: Platform) -> None:
    job, lease = await claimed(platform, RETRYING)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    assert loaded is not None
    await service.stop(platform, "team", job.id, by="ann", reason="")
    view = loaded.view(UNREACHABLE)
    assert view.stop is None
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=LOST, actor="sync"))
    over = await service.get(platform, "team", job.id)
    assert over.attempt.number == 1
    assert over.finished_at is not None


async def test_a_stop_and_a_retry_that_race_leave_no_attempt_that_nobody_stops(platform: Platform) -> None:
    """Whichever is first: the stop stands on the job, and if there is another attempt, it is queued to be ended."""
    lease = await take_lease(platform)
    for _ in range(6):
        job = await service.submit(platform, "team", "ann", RETRYING)
        await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))
        await asyncio.gather(
            record(platform, lease, job.attempt.id, LOST),
            service.stop(platform, "team", job.id, by="ann", reason=""),
        )
        after = await service.get(platform, "team", job.id)
        if after.attempt.number == 1:
            assert after.finished_at is not None
            continue
        assert after.stop is not None
        assert after.attempt.pair == Pair(ResourceState.QUEUED, JobState.WAITING)
        assert after.attempt.id not in {one.attempt_id for one in (await platform.database.read(placement.queue))[0]}


async def test_the_submit_intent_is_refused_to_a_stopped_job(platform: Platform) -> None:
    job, lease = await claimed(platform)
    await record(platform, lease, job.attempt.id, READY)
    job = await service.get(platform, "team", job.id)
    await service.stop(platform, "team", job.id, by="ann", reason="")
    intent = SubmitIntent(submission_id=job.attempt.id, cluster_uid="c", head_uid="h", at=job.submitted_at)
    with pytest.raises(StaleError):
        await platform.database.write(partial(attempts.record_intent, lease=lease, attempt=job.attempt, intent=intent))


async def test_the_queue_is_by_priority_then_age(platform: Platform) -> None:
    specs = [SPEC, SPEC.model_copy(update={"priority": 5}), SPEC, SPEC.model_copy(update={"priority": 5})]
    ids = [(await service.submit(platform, "team", "ann", spec)).attempt.id for spec in specs]
    queue, _ = await platform.database.read(placement.queue)
    assert [one.attempt_id for one in queue] == [ids[1], ids[3], ids[0], ids[2]]


async def test_pages_show_every_job_once_newest_first(platform: Platform) -> None:
    ids = [(await service.submit(platform, "team", "ann", SPEC)).id for _ in range(7)]
    await service.submit(platform, "other", "bob", SPEC)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await service.list_page(platform, "team", JobFilter(), limit=3, cursor=cursor)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == list(reversed(ids))


async def test_the_specification_reads_back_as_it_was_submitted(platform: Platform) -> None:
    spec = JobSpec.model_validate(
        {"entrypoint": ["python", "a b.py"], "head": {"cpu": "1500m", "memory": "3Gi"}, "timeouts": {"job": "90s"}}
    )
    job = await service.submit(platform, "team", "ann", spec)
    assert (await platform.database.read(partial(jobs.get_job, namespace="team", job_id=job.id))) == job.model_copy(
        update={"why": ""}
    )
    assert job.spec == spec
