"""Real MySQL and MariaDB, and a second session or the network in between that does its worst."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.blobs.stores import open_store
from dartjobs.bus.memory import MemoryBus
from dartjobs.models.cluster import Limits, Settings
from dartjobs.models.problem import UnavailableError
from dartjobs.models.spec import JobSpec
from dartjobs.services import clusters
from dartjobs.services import jobs as service
from dartjobs.services.submit import Caller, submit_batch
from dartjobs.store import attempts, meta, placement
from dartjobs.store.database import Database, StaleError, may_be_committed, now
from dartjobs.store.listing import JobFilter
from dartjobs.store.tables import audit
from dartjobs.store.tables import meta as table
from tests.fakes.engines import SERVERS, execute, open_database, url_on
from tests.fakes.platform import parts_of, take_lease
from tests.fakes.tcp_proxy import Loss, TcpProxy, tcp_proxy

SPEC = JobSpec(entrypoint="true")


@pytest.fixture(params=SERVERS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with url_on(request.param, tmp_path) as one:
        yield one


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """With two rows of `meta`, and little patience for locks."""
    one = open_database(url, lock_timeout=1)
    for name in ("a", "b"):
        await one.write(partial(meta.get_or_set, name=name, fresh="0"))
    yield one
    await one.close()


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[TcpProxy]:
    async with tcp_proxy(make_url(url).port or 0) as one:
        yield one


@pytest.fixture
async def behind_proxy(url: str, proxy: TcpProxy) -> AsyncIterator[Database]:
    """A database that is reached through the proxy."""
    there = make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
    one = open_database(there, transaction_timeout=2.0, retry_seconds=60.0)
    yield one
    await one.close()


async def count_up(conn: AsyncConnection, name: str) -> None:
    value = await conn.scalar(select(table.c.value).where(table.c.name == name).with_for_update())
    await conn.execute(update(table).where(table.c.name == name).values(value=str(int(value or 0) + 1)))


async def values(conn: AsyncConnection) -> dict[str, str]:
    rows = await conn.execute(select(table.c.name, table.c.value))
    return {row.name: row.value for row in rows}


async def connection_id(conn: AsyncConnection) -> int:
    return int((await conn.execute(text("SELECT CONNECTION_ID()"))).scalar_one())


async def test_of_two_in_a_deadlock_one_is_run_again(database: Database) -> None:
    """Row 29 of the faults: error 1213."""
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    async def count_both(conn: AsyncConnection, first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        is_first = runs <= 2
        await count_up(conn, first)
        if is_first:
            await both_hold_one.wait()
        await count_up(conn, second)

    await asyncio.gather(
        database.write(partial(count_both, first="a", second="b")),
        database.write(partial(count_both, first="b", second="a")),
    )
    assert await database.read(values) == {"a": "2", "b": "2"}
    assert runs > 2


async def test_a_row_that_is_held_for_too_long_is_waited_for_again(database: Database) -> None:
    """Row 29: error 1205."""
    held, tried_twice, runs = asyncio.Event(), asyncio.Event(), 0

    async def hold(conn: AsyncConnection) -> None:
        await count_up(conn, "a")
        held.set()
        await tried_twice.wait()

    async def count(conn: AsyncConnection) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            tried_twice.set()
        await count_up(conn, "a")

    holder = asyncio.create_task(database.write(hold))
    await held.wait()
    await database.write(count)
    await holder
    assert (await database.read(values))["a"] == "2"


async def test_a_row_that_is_never_free_is_given_up_in_time(database: Database, url: str) -> None:
    held, free = asyncio.Event(), asyncio.Event()

    async def hold(conn: AsyncConnection) -> None:
        await count_up(conn, "a")
        held.set()
        await free.wait()

    hasty = open_database(url, lock_timeout=1, retry_seconds=0.5)
    holder = asyncio.create_task(database.write(hold))
    await held.wait()
    with pytest.raises(UnavailableError, match="Nothing was changed"):
        await hasty.write(partial(count_up, name="a"))
    free.set()
    await holder
    await hasty.close()
    assert (await database.read(values))["a"] == "1"


async def test_connections_that_were_killed_while_idle_are_replaced(database: Database, url: str) -> None:
    """Row 31: errors 2006 and 2013."""
    killed = [await database.read(connection_id), await database.write(connection_id)]
    await execute(url, *(f"KILL {one}" for one in killed))
    await database.write(partial(count_up, name="a"))
    assert await database.read(connection_id) not in killed
    assert (await database.read(values))["a"] == "1"


async def test_a_transaction_whose_connection_is_killed_is_run_again(database: Database, url: str) -> None:
    runs = 0

    async def count(conn: AsyncConnection) -> None:
        nonlocal runs
        runs += 1
        await count_up(conn, "a")
        if runs == 1:
            await execute(url, f"KILL {await connection_id(conn)}")
        await count_up(conn, "b")

    await database.write(count)
    assert runs == 2
    assert await database.read(values) == {"a": "1", "b": "1"}


@pytest.mark.parametrize("loss", list(Loss))
async def test_a_submission_whose_commit_was_lost_exists_once(
    proxy: TcpProxy, behind_proxy: Database, loss: Loss
) -> None:
    """Row 31: the client is answered 201, and there is one job."""
    platform = parts_of(behind_proxy, MemoryBus(), open_store("memory://"))
    proxy.lose_commit(loss)
    job = await service.submit(platform, "team", "ann", SPEC)
    assert proxy.commits_lost == 1
    page = await service.list_page(platform, "team", JobFilter(), limit=10, cursor=None)
    assert [one.id for one in page.items] == [job.id]
    assert len(await service.history(platform, "team", job.id)) == 1


async def test_what_was_claimed_is_unknown_when_the_reply_is_lost(proxy: TcpProxy, behind_proxy: Database) -> None:
    """Whoever claims counts what is promised in memory: it is to be read anew."""
    platform = parts_of(behind_proxy, MemoryBus(), open_store("memory://"))
    job = await service.submit(platform, "team", "ann", SPEC)
    lease = await take_lease(platform)
    claim = partial(attempts.claim_many, lease=lease, attempt_ids=[job.attempt.id], actor="test")
    proxy.lose_commit(Loss.REPLY)
    with pytest.raises(StaleError):
        await behind_proxy.write(claim)
    assert job.attempt.id in await behind_proxy.read(partial(placement.promised, cluster="local"))


async def test_a_batch_whose_reply_was_lost_still_tells_what_was_refused(
    proxy: TcpProxy, behind_proxy: Database
) -> None:
    platform = parts_of(behind_proxy, MemoryBus(), open_store("memory://"))
    absent = {"entrypoint": "true", "runtime_env": {"working_dir": f"sha256:{'0' * 64}"}}
    proxy.lose_commit(Loss.REPLY)
    caller = Caller("team", "ann", "key")
    result, replayed = await submit_batch(platform, caller, [{"entrypoint": "true"}, absent])
    assert not replayed
    taken, refused = result.items
    assert taken.job is not None
    assert (await service.get(platform, "team", taken.job.id)).id == taken.job.id
    assert refused.job is None
    assert refused.problem is not None
    assert refused.problem.code == "package-not-found"


async def test_what_an_operator_did_is_done_once_though_its_reply_was_lost(
    proxy: TcpProxy, behind_proxy: Database
) -> None:
    platform = parts_of(behind_proxy, MemoryBus(), open_store("memory://"))
    few = Settings(limits=Limits(jobs=2))
    for settings in (few, Settings()):
        proxy.lose_commit(Loss.REPLY)
        await clusters.add(platform, "west", settings, by="ops", replace=True)
    proxy.lose_commit(Loss.REPLY)
    assert (await clusters.drain(platform, "west", by="ops", requeue=False, reason="")).cluster.cordoned
    proxy.lose_commit(Loss.REPLY)
    await clusters.remove(platform, "west", by="ops")
    assert await clusters.list_all(platform) == []
    actions = await behind_proxy.read(lambda conn: conn.scalars(select(audit.c.action).order_by(audit.c.id)))
    assert list(actions) == ["cluster-add", "cluster-add", "cordon", "cluster-remove"]


async def test_a_commit_whose_reply_was_lost_is_told_to_the_next_run(proxy: TcpProxy, behind_proxy: Database) -> None:
    told: list[bool] = []

    async def work(conn: AsyncConnection) -> None:
        told.append(may_be_committed(conn))
        await count_up(conn, "a")

    await behind_proxy.write(work)
    proxy.lose_commit(Loss.REPLY)
    await behind_proxy.write(work)
    await behind_proxy.write(work)
    assert told == [False, False, True, False]


async def test_a_server_that_refuses_for_a_while_is_waited_for(url: str, proxy: TcpProxy) -> None:
    there = make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
    trials = 0

    def luck() -> float:
        nonlocal trials
        trials += 1
        if trials == 4:
            proxy.accept()
        return 0.1

    patient = open_database(there, luck=luck, retry_seconds=60.0)
    await patient.read(now)
    proxy.refuse()
    await patient.write(partial(meta.get_or_set, name="a", fresh="0"))
    assert trials == 4
    await patient.close()


async def test_a_server_that_refuses_for_too_long_is_unavailable(url: str, proxy: TcpProxy) -> None:
    there = make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
    hasty = open_database(there, retry_seconds=0.2)
    proxy.refuse()
    for call in _calls(hasty):
        with pytest.raises(UnavailableError):
            await call()
    proxy.accept()
    for call in _calls(hasty):
        await call()
    await hasty.close()


async def test_connections_that_are_half_open_are_given_up_together(proxy: TcpProxy, behind_proxy: Database) -> None:
    """One of them does not answer in time: the others, which are as old, are not tried."""
    for call in _calls(behind_proxy):
        await asyncio.gather(*(call() for _ in range(4)))
    proxy.freeze()
    with pytest.raises(UnavailableError, match="did not answer"):
        await behind_proxy.read(now)
    for call in _calls(behind_proxy):
        await asyncio.gather(*(call() for _ in range(4)))


async def test_a_check_has_no_patience(proxy: TcpProxy, behind_proxy: Database) -> None:
    await behind_proxy.check()
    proxy.cut()
    await behind_proxy.check()  # a connection that was lost while idle says nothing about the server
    proxy.freeze()
    with pytest.raises(UnavailableError, match=r"did not answer in 0\.1 s"):
        await behind_proxy.check(0.1)
    proxy.refuse()
    with pytest.raises(UnavailableError):
        await behind_proxy.check()


def _calls(database: Database) -> list[Callable[[], Awaitable[object]]]:
    get = partial(meta.get_or_set, name="a", fresh="0")
    return [partial(database.read, now), partial(database.write, get)]
