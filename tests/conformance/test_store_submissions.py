"""Submissions in one transaction: each once by its key, and a bad one alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dartjobs.models.job import Job
from dartjobs.models.spec import JobSpec
from dartjobs.services.ids import new_job_id
from dartjobs.store import idempotency, listing, submissions
from dartjobs.store.database import Database, now
from dartjobs.store.idempotency import Key, Place
from dartjobs.store.listing import JobFilter
from dartjobs.store.submissions import NewJob, Recorded, Submission
from tests.fakes.engines import ENGINES, open_database, url_on

SPEC = JobSpec(entrypoint="true", labels={"env": "prod"})


@pytest.fixture(params=ENGINES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with url_on(request.param, tmp_path) as one:
        yield one


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    one = open_database(url)
    yield one
    await one.close()


def new(job_id: str = "") -> NewJob:
    return NewJob(job_id or new_job_id(), "team", "ann", SPEC)


def keyed(key: str, body_hash: str = "h") -> Submission:
    return Submission([new()], Key(Place("team", "ann", key), body_hash))


async def record(database: Database, *several: Submission) -> list[Recorded]:
    return await submissions.record_all(database, several)


async def everything(database: Database) -> list[Job]:
    return await database.read(partial(listing.list_jobs, namespace="team", wanted=JobFilter(), limit=1_000))


async def test_a_key_is_one_submission_in_one_transaction_and_in_several(database: Database) -> None:
    first, twin, other = await record(database, keyed("a"), keyed("a"), keyed("b"))
    again, wrong = await record(database, keyed("a"), keyed("b", "other"))
    assert (first.replayed, twin.replayed, other.replayed, again.replayed) == (False, True, False, True)
    assert first.job_ids == twin.job_ids == again.job_ids
    assert wrong.mismatch
    assert {job.id for job in await everything(database)} == {*first.job_ids, *other.job_ids}


async def test_two_replicas_with_one_key_at_once_make_one_job(url: str) -> None:
    replicas = [open_database(url) for _ in range(2)]
    for number in range(10):
        both = await asyncio.gather(*(record(one, keyed(f"k{number}")) for one in replicas))
        (one,), (two,) = both
        assert one.job_ids == two.job_ids
        assert sorted([one.replayed, two.replayed]) == [False, True]
    assert len(await everything(replicas[0])) == 10
    for replica in replicas:
        await replica.close()


async def test_one_bad_row_does_not_hinder_the_others(database: Database) -> None:
    taken = new()
    await record(database, Submission([taken]))
    good, bad = keyed("good"), Submission([new(taken.id)], Key(Place("team", "ann", "bad"), "h"))
    batch = Submission([new(), new(taken.id), None, new()])
    of_good, of_bad, of_batch = await record(database, good, bad, batch)
    assert not of_good.refused
    assert set(of_bad.refused) == {taken.id}
    assert [bool(job_id) for job_id in of_batch.job_ids] == [True, False, False, True]
    assert len(await everything(database)) == 4
    [retried] = await record(database, keyed("bad"))
    assert not retried.replayed


async def test_labels_are_found_and_read_back(database: Database) -> None:
    [one] = await record(database, Submission([new()]))
    [job] = await everything(database)
    assert (job.id, job.spec, job.submitted_at) == (one.job_ids[0], SPEC, one.at)


async def test_old_keys_are_forgotten(database: Database) -> None:
    await record(database, keyed("a"), keyed("b"))
    at = await database.read(now)
    forget = partial(idempotency.forget_before, moment=at - timedelta(hours=1))
    assert await database.write(forget) == 0
    assert await database.write(partial(idempotency.forget_before, moment=at + timedelta(hours=1), limit=1)) == 1
    assert await database.write(partial(idempotency.forget_before, moment=at + timedelta(hours=1))) == 1
    [again] = await record(database, keyed("a"))
    assert not again.replayed
