"""Transactions on every engine: whole or not at all, run again when others were in the way, whatever callers do."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.models.problem import UnavailableError
from dartjobs.store import clusters, meta
from dartjobs.store.database import Database, StaleError, now
from dartjobs.store.tables import clusters as table_of_clusters
from dartjobs.store.tables import meta as table
from dartjobs.store.tables import wakeups
from dartjobs.store.upsert import upsert
from tests.fakes.engines import ENGINES, database_on

STORM = 300


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_on(request.param, tmp_path, pool_size=5) as one:
        yield one


async def put(conn: AsyncConnection, name: str, value: str) -> None:
    await conn.execute(insert(table).values(name=name, value=value))


async def get(conn: AsyncConnection, name: str) -> str | None:
    found: str | None = await conn.scalar(select(table.c.value).where(table.c.name == name))
    return found


async def count_up(conn: AsyncConnection) -> int:
    row = select(table.c.value).where(table.c.name == "count").with_for_update()
    value = int(await conn.scalar(row) or 0) + 1
    await conn.execute(update(table).where(table.c.name == "count").values(value=str(value)))
    return value


async def test_what_raises_changes_nothing(database: Database) -> None:
    async def work(conn: AsyncConnection) -> None:
        await put(conn, "a", "1")
        raise StaleError

    with pytest.raises(StaleError):
        await database.write(work)
    assert await database.read(partial(get, name="a")) is None


async def test_a_key_that_is_there_is_found_at_the_second_run(database: Database) -> None:
    """Two that look, find nothing and insert: one of them is run again, and finds."""
    results = await asyncio.gather(
        *(database.write(partial(meta.get_or_set, name="id", fresh=str(one))) for one in range(8))
    )
    assert len(set(results)) == 1


async def test_a_key_that_is_never_looked_for_is_the_programs_fault(database: Database) -> None:
    await database.write(partial(put, name="a", value="1"))
    with pytest.raises(IntegrityError):
        await database.write(partial(put, name="a", value="2"))
    assert await database.read(partial(get, name="a")) == "1"


async def test_no_update_is_lost_among_many_at_once(database: Database) -> None:
    await database.write(partial(put, name="count", value="0"))
    counted = await asyncio.gather(*(database.write(count_up) for _ in range(40)))
    assert sorted(counted) == list(range(1, 41))


@pytest.mark.parametrize("engine", ENGINES)
async def test_when_every_connection_is_in_use_the_caller_is_told_so(engine: str, tmp_path: Path) -> None:
    held, free = asyncio.Event(), asyncio.Event()

    async def hold(conn: AsyncConnection) -> None:
        await now(conn)
        held.set()
        await free.wait()

    async with database_on(engine, tmp_path, pool_size=1, pool_timeout=0.1) as small:
        holder = asyncio.create_task(small.read(hold))
        await held.wait()
        with pytest.raises(UnavailableError, match="in use") as raised:
            await small.read(now)
        assert raised.value.retry_after == 1.0
        free.set()
        await holder
        await small.read(now)


async def test_a_storm_of_cancelled_callers_mixes_nothing_up_and_leaves_no_lock(database: Database) -> None:
    """As github.com/long2ice/asyncmy/issues/103 had it: an answer to one who has gone must not reach another."""
    await database.write(partial(put, name="count", value="0"))
    luck = random.Random(103)

    async def echo(number: int) -> int:
        async def work(conn: AsyncConnection) -> int:
            found: int | None = await conn.scalar(select(literal(number)))
            assert found is not None
            return found

        return await database.read(work)

    async def impatient(number: int) -> int | None:
        call = asyncio.create_task(echo(number) if number % 3 else database.write(count_up))
        for _ in range(luck.randrange(60)):
            await asyncio.sleep(0)
        call.cancel()
        try:
            return await call
        except (asyncio.CancelledError, UnavailableError):
            return None

    results = await asyncio.gather(*(impatient(number) for number in range(STORM)))
    assert [result for number, result in enumerate(results) if number % 3 and result not in {None, number}] == []
    counted = [result for number, result in enumerate(results) if number % 3 == 0 and result is not None]
    assert len(set(counted)) == len(counted)
    patient = await asyncio.gather(*(echo(number) for number in range(20)))
    assert patient == list(range(20))
    total = await database.write(count_up)
    assert len(counted) < total <= STORM // 3 + 1


async def test_the_clock_is_utc_and_exact(database: Database) -> None:
    before = datetime.now(UTC)
    moments = [await database.read(now) for _ in range(3)]
    after = datetime.now(UTC)
    slack = timedelta(milliseconds=1)  # of SQLite's clock
    assert before - slack <= moments[0] <= moments[1] <= moments[2] <= after + slack


async def test_names_compare_byte_by_byte(database: Database) -> None:
    names = ["ann", "Ann", "ann ", "änn", "ånn", "\N{LATIN SMALL LETTER A}\N{COMBINING RING ABOVE}nn", "ann\N{ROCKET}"]
    for name in names:
        await database.write(partial(put, name=name, value=name))
    assert [await database.read(partial(get, name=name)) for name in names] == names

    async def ordered(conn: AsyncConnection) -> list[str]:
        return list(await conn.scalars(select(table.c.name).order_by(table.c.name)))

    assert await database.read(ordered) == sorted(names, key=str.encode)


async def test_json_reads_back_as_it_was_written(database: Database) -> None:
    body = {
        "zz": 1.0,
        "a": [2**62, -0.1, 1e300, None, True, "\N{ROCKET} \\ \" ' %s :name \x00"],
        "": {"b": {}, "a": [], "ä": "ß"},
    }
    registration = clusters.Registration("one", "id", Capacity(Resources()), {})

    async def write(conn: AsyncConnection) -> None:
        await clusters.register(conn, registration)
        await conn.execute(update(table_of_clusters).values(labels=body))

    async def read(conn: AsyncConnection) -> object:
        return await conn.scalar(select(table_of_clusters.c.labels))

    await database.write(write)
    found = await database.read(read)
    assert found == body
    assert isinstance(found, dict)
    assert list(found) == list(body)
    assert isinstance(found["zz"], float)


async def test_texts_may_be_longer_than_mysqls_text(database: Database) -> None:
    await database.write(partial(put, name="long", value="x" * 100_000))
    assert await database.read(partial(get, name="long")) == "x" * 100_000


async def test_seconds_keep_their_digits(database: Database) -> None:
    async def write(conn: AsyncConnection) -> None:
        await clusters.register(conn, clusters.Registration("one", "id", Capacity(Resources()), {}))
        await conn.execute(update(table_of_clusters).values(blind_seconds=1_234_567.000_125))

    async def read(conn: AsyncConnection) -> object:
        return await conn.scalar(select(table_of_clusters.c.blind_seconds))

    await database.write(write)
    assert await database.read(read) == 1_234_567.000_125


async def test_an_upsert_inserts_or_updates_only_what_it_names(database: Database) -> None:
    rows = [{"cluster": "c", "attempt_id": f"job-{number}", "gen": "1"} for number in range(3)]
    await database.write(partial(upsert, table=wakeups, rows=rows[:2], update=["gen"]))
    newer = [{**row, "gen": "2"} for row in rows[1:]]
    await database.write(partial(upsert, table=wakeups, rows=newer, update=["gen"]))
    await database.write(partial(upsert, table=wakeups, rows=[], update=["gen"]))

    async def read(conn: AsyncConnection) -> list[str]:
        return list(await conn.scalars(select(wakeups.c.gen).order_by(wakeups.c.attempt_id)))

    assert await database.read(read) == ["1", "2", "2"]
