"""Whatever the filter, a list shows what the filter says, newest first, page by page."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import update

from dartjobs.models.job import Job
from dartjobs.models.reason import Reason
from dartjobs.models.selector import all_hold, parse_selector
from dartjobs.models.spec import JobSpec, Retries
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.store import listing
from dartjobs.store.attempts import claim
from dartjobs.store.listing import JobFilter
from dartjobs.store.tables import attempts
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at, take_lease
from tests.unit.services.test_watch import move

SELECTORS = ["", "env=prod", "env in (prod,dev)", "env notin (prod)", "env!=dev", "tier", "!tier", "env=prod,tier=web"]


@pytest.fixture(params=ENGINES)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path, request.param) as one:
        yield one


async def fill(platform: Platform, number: int) -> list[Job]:
    """Jobs of every kind, as the database has them, newest first."""
    dice = random.Random(7)
    for _ in range(number):
        labels = {"env": dice.choice(["prod", "dev"]), "tier": dice.choice(["web", "db"])}
        kept = {key: value for key, value in labels.items() if dice.random() < 0.7}
        spec = JobSpec(entrypoint="true", name=dice.choice(["train", "eval"]), labels=kept)
        job = await service.submit(platform, "team", dice.choice(["ann", "bob"]), spec)
        state, cluster = dice.choice(list(JobState)).value, dice.choice(["east", "west", None])
        change = update(attempts).where(attempts.c.job_id == job.id).values(job_state=state, cluster=cluster)
        await platform.database.write(lambda conn, change=change: conn.execute(change))  # type: ignore[misc]
    await service.submit(platform, "other", "ann", JobSpec(entrypoint="true", labels={"env": "prod"}))
    return await platform.database.read(partial(listing.list_jobs, namespace="team", wanted=JobFilter(), limit=number))


def matches(job: Job, wanted: JobFilter) -> bool:
    return (
        (not wanted.states or job.job_state in wanted.states)
        and (wanted.active is None or job.job_state.is_final is not wanted.active)
        and wanted.user in {None, job.user}
        and wanted.name in {None, job.name}
        and wanted.cluster in {None, job.attempt.cluster}
        and all_hold(wanted.labels, job.spec.labels)
    )


async def test_every_filter_gives_what_it_says(platform: Platform) -> None:
    everything = await fill(platform, 60)
    assert [job.id for job in everything] == sorted((job.id for job in everything), reverse=True)
    states = [(), (JobState.RUNNING,), (JobState.WAITING, JobState.FAILED), (JobState.FAILED, JobState.STOPPED)]
    filters = [
        JobFilter(states=of, active=active, user=user, name=name, cluster=cluster, labels=parse_selector(selector))
        for of, active, user, name, cluster, selector in product(
            states, [None, True, False], [None, "ann"], [None, "eval"], [None, "west"], SELECTORS
        )
    ]
    for wanted in random.Random(3).sample(filters, 120):
        read = partial(listing.list_ids, namespace="team", wanted=wanted, limit=100)
        expected = [job.id for job in everything if matches(job, wanted)]
        assert await platform.database.read(read) == expected, wanted


@pytest.mark.parametrize("wanted", [JobFilter(states=(JobState.RUNNING, JobState.FAILED)), JobFilter(user="ann")])
async def test_pages_follow_each_other(platform: Platform, wanted: JobFilter) -> None:
    expected = [job.id for job in await fill(platform, 40) if matches(job, wanted)]
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await service.list_page(platform, "team", wanted, limit=3, cursor=cursor)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == expected


async def test_times_of_submission_bound_a_list(platform: Platform) -> None:
    everything = await fill(platform, 6)
    middle = everything[2].submitted_at
    for wanted, expected in (
        (JobFilter(submitted_after=middle), [job for job in everything if job.submitted_at >= middle]),
        (JobFilter(submitted_before=middle), [job for job in everything if job.submitted_at < middle]),
        (JobFilter(submitted_after=middle + timedelta(days=9)), []),
    ):
        page = await service.list_page(platform, "team", wanted, limit=10, cursor=None)
        assert [job.id for job in page.items] == [job.id for job in expected]


async def test_an_earlier_attempt_in_the_state_does_not_count(platform: Platform) -> None:
    retried = JobSpec(entrypoint="true", retries=Retries(infrastructure=1))
    job = await service.submit(platform, "team", "ann", retried)
    lease = await take_lease(platform)
    await platform.database.write(partial(claim, lease=lease, attempt_id=f"{job.id}-1", actor="test"))
    await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.HEAD_LOST)
    for state, expected in ((JobState.FAILED, []), (JobState.WAITING, [job.id])):
        page = await service.list_page(platform, "team", JobFilter(states=(state,)), limit=10, cursor=None)
        assert [one.id for one in page.items] == expected
