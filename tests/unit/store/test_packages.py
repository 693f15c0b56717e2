"""A submission and a sweep of its package in the same instant, on every engine."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.problem import PackageNotFoundError
from dartjobs.models.spec import JobSpec, RuntimeEnv
from dartjobs.store import packages, tables
from dartjobs.store.database import Database, now
from dartjobs.store.packages import Recorded
from dartjobs.store.submissions import NewJob, Submission, record_all
from tests.fakes.engines import ENGINES, database_on

REF = f"sha256:{'0' * 64}"
SPEC = JobSpec(entrypoint="true", runtime_env=RuntimeEnv(working_dir=REF))


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_on(request.param, tmp_path) as one:
        yield one


async def submitted(database: Database, number: int) -> bool:
    """Whether the job was recorded."""
    (made,) = await record_all(database, [Submission([NewJob(f"job-{number:026d}", "team", "ann", SPEC)])])
    assert all(isinstance(error, PackageNotFoundError) for error in made.refused.values())
    return not made.refused


async def swept(database: Database, one: Recorded) -> bool:
    """Whether the sweep may delete the object."""
    before = await database.read(now) + timedelta(hours=1)
    return await database.write(partial(packages.mark_deleting, one=one, before=before))


async def test_either_the_submission_or_the_sweep_wins(database: Database) -> None:
    for number in range(20):
        new = Recorded("team", REF, f"{number:x}", 1)
        stands = await database.write(partial(packages.record, new=new))
        assert stands == new
        kept, gone = await asyncio.gather(submitted(database, number), swept(database, new))
        assert kept != gone
        await database.write(partial(packages.forget, one=new))
        await database.write(_finish_all)
        assert await database.read(partial(packages.get, namespace="team", ref=REF)) is None


async def test_many_submissions_of_one_package_do_not_hinder_each_other(database: Database) -> None:
    await database.write(partial(packages.record, new=Recorded("team", REF, "1", 1)))
    assert all(await asyncio.gather(*(submitted(database, number) for number in range(20))))


async def _finish_all(conn: AsyncConnection) -> None:
    await conn.execute(update(tables.jobs).values(finished_at=await now(conn)))
