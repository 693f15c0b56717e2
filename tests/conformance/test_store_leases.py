"""One holder at a time; the time without one is blind."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.models.spec import GIBIBYTE
from dartjobs.services.platform import Platform
from dartjobs.store import clusters, leases, tables
from dartjobs.store.clusters import Registration
from dartjobs.store.database import StaleError, now
from tests.fakes.engines import ENGINES
from tests.fakes.platform import MINUTE, platform_at, take_lease


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_lease_that_is_held_is_not_given_to_another(tmp_path: Path, engine: str) -> None:
    async with platform_at(tmp_path, engine) as platform:
        mine = await take_lease(platform, holder="one")
        other = partial(leases.acquire, name="local", holder="two", duration=MINUTE)
        assert await platform.database.write(other) is None
        await platform.database.write(partial(leases.renew, lease=mine, duration=timedelta(0)))
        theirs = await platform.database.write(other)
        assert theirs is not None
        assert theirs.epoch == mine.epoch + 1
        with pytest.raises(StaleError):
            await platform.database.write(partial(leases.renew, lease=mine, duration=MINUTE))


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_lease_that_was_let_go_of_is_taken_at_once(tmp_path: Path, engine: str) -> None:
    async with platform_at(tmp_path, engine) as platform:
        mine = await take_lease(platform, holder="one")
        see = partial(leases.is_free, name="local", holder="two")
        assert not await platform.database.read(see)
        await platform.database.write(partial(leases.release, lease=mine))
        assert await platform.database.read(see)
        await take_lease(platform, holder="two")
        for write in (leases.check_lease, leases.release):
            with pytest.raises(StaleError):
                await platform.database.write(partial(write, lease=mine))


@pytest.mark.parametrize("engine", ENGINES)
async def test_writers_under_one_lease_do_not_wait_for_each_other_and_the_taker_does(
    tmp_path: Path, engine: str
) -> None:
    """On a server; SQLite has one writer at a time in any case."""
    async with platform_at(tmp_path, engine) as platform:
        lease = await take_lease(platform, holder="one")
        both = asyncio.Barrier(2)
        done: list[str] = []

        async def write(conn: AsyncConnection) -> None:
            await leases.check_lease(conn, lease)
            if engine != "sqlite":
                await both.wait()
            done.append("writer")

        await platform.database.write(partial(leases.renew, lease=lease, duration=timedelta(0)))
        await asyncio.gather(platform.database.write(write), platform.database.write(write))
        assert done == ["writer", "writer"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_blind_time_is_what_nobody_saw_by_the_databases_clock(tmp_path: Path, engine: str) -> None:
    async with platform_at(tmp_path, engine) as platform:
        here = Registration("local", "id", Capacity(Resources(Decimal(9), 64 * GIBIBYTE)), {})
        await platform.database.write(partial(clusters.register, registration=here))
        lease = await take_lease(platform)
        renew = partial(leases.renew, lease=lease, duration=MINUTE, period=timedelta(seconds=3))

        async def blind_after(quiet: timedelta, **how: bool) -> float:
            before, _ = await sight(platform)
            await platform.database.write(partial(age_heartbeat, by=quiet))
            await platform.database.write(partial(renew, **how))
            return (await sight(platform))[0] - before

        assert await blind_after(timedelta(seconds=5)) == 0
        assert 97 <= await blind_after(timedelta(seconds=100)) < 130
        assert 5 <= await blind_after(timedelta(seconds=5), reachable=False) < 30
        since = (await sight(platform))[1]
        assert since is not None
        assert 5 <= await blind_after(timedelta(seconds=5), reachable=False) < 30
        assert (await sight(platform))[1] == since
        assert 5 <= await blind_after(timedelta(seconds=5)) < 30
        assert (await sight(platform))[1] is None
        before, _ = await sight(platform)
        await platform.database.write(partial(age_heartbeat, by=timedelta(seconds=60)))
        await take_lease(platform)
        assert 60 <= (await sight(platform))[0] - before < 90


async def sight(platform: Platform) -> tuple[float, datetime | None]:
    async def read(conn: AsyncConnection) -> tuple[float, datetime | None]:
        row = (await conn.execute(select(tables.clusters))).one()
        return row.blind_seconds, row.unreachable_since

    return await platform.database.read(read)


async def age_heartbeat(conn: AsyncConnection, by: timedelta) -> None:
    at = await now(conn) - by
    await conn.execute(update(tables.leases).values(heartbeat_at=at))
