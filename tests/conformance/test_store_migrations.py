"""The migrations make what the tables say, on every engine, from every revision, wherever the last one broke off."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, select

from dartjobs.core.queueing import demand
from dartjobs.models.cluster import Limits
from dartjobs.models.spec import JobSpec
from dartjobs.store import clusters, jobs
from dartjobs.store.database import Database
from dartjobs.store.migrate import upgrade
from dartjobs.store.tables import attempts, job_labels, metadata
from dartjobs.store.tables import jobs as table_of_jobs
from tests.fakes.engines import ENGINES, blank_url_on, open_database
from tests.fakes.first_schema import SPECS, insert_rows, read_rows

FIRST = "0001"
DDL = ("CREATE", "ALTER", "DROP")


class BrokenOffError(Exception):
    """The process ended here, as far as the database can tell."""


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database with no tables."""
    async with blank_url_on(request.param, tmp_path) as url:
        one = open_database(url)
        yield one
        await one.close()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def differences_of(database: Database) -> list[object]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(differences)


async def fill(database: Database) -> None:
    await upgrade(database, FIRST)
    async with database.engine.begin() as connection:
        await connection.run_sync(insert_rows)


async def rows_of(database: Database) -> dict[str, list[dict[str, Any]]]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(read_rows)


@contextmanager
def breaking_off(database: Database, after: int) -> Iterator[None]:
    """Raise after so many statements that change the schema."""
    count = 0

    def check(_connection: Connection, _cursor: object, statement: str, *_others: object) -> None:
        nonlocal count
        count += statement.lstrip().upper().startswith(DDL)
        if count == after:
            raise BrokenOffError

    event.listen(database.engine.sync_engine, "after_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(database.engine.sync_engine, "after_cursor_execute", check)


async def assert_upgraded_from_first(database: Database, before: dict[str, list[dict[str, Any]]]) -> None:
    assert await differences_of(database) == []
    after = await rows_of(database)
    for row in before["attempts"]:
        del row["priority"]
    assert after == before
    for job_id, spec in SPECS.items():
        await assert_columns_say(database, job_id, JobSpec.model_validate(spec))


async def assert_columns_say(database: Database, job_id: str, spec: JobSpec) -> None:
    job = await database.read(partial(jobs.get_job, namespace="team", job_id=job_id))
    assert job is not None
    assert (job.spec, job.attempt.number) == (spec, 2)
    async with database.engine.connect() as connection:
        rows = (await connection.execute(select(attempts).where(attempts.c.job_id == job_id))).all()
        found = await connection.execute(select(job_labels).where(job_labels.c.job_id == job_id))
        labels = {row.key: (row.value, row.namespace) for row in found}
        package = await connection.scalar(select(table_of_jobs.c.package).where(table_of_jobs.c.id == job_id))
    need = demand(spec)
    for row in rows:
        assert (row.namespace, row.queue_rank, row.due_at) == ("team", -spec.priority, row.created_at)
        assert (row.cpu_milli, row.memory, row.gpu) == (int(need.cpu * 1_000), need.memory, need.gpu)
        assert row.selector == (spec.cluster_selector or None)
    assert labels == {key: (value, "team") for key, value in spec.labels.items()}
    assert package == spec.runtime_env.working_dir


async def test_the_migrated_schema_is_the_schema_of_the_tables(database: Database) -> None:
    await upgrade(database)
    assert await differences_of(database) == []


async def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    await upgrade(database)
    await upgrade(database)
    assert await differences_of(database) == []


async def test_several_upgrades_at_once_wait_for_each_other(database: Database) -> None:
    await asyncio.gather(*(upgrade(database) for _ in range(3)))
    assert await differences_of(database) == []


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_an_upgrade_from_each_revision_keeps_every_row(database: Database, revision: str) -> None:
    await fill(database)
    before = await rows_of(database)
    await upgrade(database, revision)
    await upgrade(database)
    await assert_upgraded_from_first(database, before)


async def test_a_cluster_of_an_earlier_revision_registered_itself(database: Database) -> None:
    await fill(database)
    await upgrade(database)
    [one] = await database.read(clusters.list_clusters)
    assert (one.name, one.identity, one.capacity.cpu) == ("local", "i", Decimal(4))
    assert (one.added_at, one.limits) == (None, Limits())


async def test_an_upgrade_that_broke_off_is_taken_up_wherever_it_was(database: Database) -> None:
    """It is broken off after each single step, and begun again each time."""
    await fill(database)
    before = await rows_of(database)
    is_whole = database.engine.dialect.name == "sqlite"  # there the whole upgrade is one transaction
    for step in itertools.count(1):
        try:
            with breaking_off(database, step if is_whole else 1):
                await upgrade(database)
        except BrokenOffError:
            assert step < 100, "it makes no progress"
        else:
            break
    assert step > 20
    await assert_upgraded_from_first(database, before)
