"""A MySQL and a MariaDB server of this test's own, that becomes read-only, is killed, and comes back."""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.api.app import create_app
from dartjobs.api.settings import ApiSettings
from dartjobs.blobs.stores import open_store
from dartjobs.bus.memory import MemoryBus
from dartjobs.models.problem import UnavailableError
from dartjobs.store import meta
from dartjobs.store.database import Database, now
from dartjobs.store.migrate import upgrade
from dartjobs.store.tables import jobs
from testbed.servers import ADMIN, MariaDB, MySQL, SqlServer
from tests.fakes.certificates import self_signed
from tests.fakes.engines import SERVERS, execute, open_database, with_database
from tests.fakes.platform import parts_of

NS = "/api/v1/namespaces/team"
KINDS: dict[str, type[SqlServer]] = {"mysql": MySQL, "mariadb": MariaDB}
READ_ONLY = {"mysql": "super_read_only", "mariadb": "read_only"}
PARAMS = [pytest.param(name, marks=pytest.mark.xdist_group(f"own-{name}")) for name in SERVERS]


@pytest.fixture(scope="module", params=PARAMS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    one = KINDS[request.param](tmp_path_factory.mktemp(request.param))
    certificate, key = self_signed(one.folder / "tls")
    one.options = [f"--ssl-ca={certificate}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    one.start()
    yield one
    one.stop()


@pytest.fixture
async def url(server: SqlServer) -> str:
    """A migrated database of its own."""
    name = f"d{uuid.uuid4().hex}"
    await execute(server.url, f"CREATE DATABASE {name}")
    there = with_database(server.url, name)
    database = open_database(there)
    await upgrade(database)
    await database.close()
    return there


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    one = open_database(url, retry_seconds=0.5)
    yield one
    await one.close()


async def switch(server: SqlServer, *, read_only: bool) -> None:
    value = "ON" if read_only else "OFF"
    also = [] if read_only or server.name == "mariadb" else ["SET GLOBAL read_only = OFF"]
    await execute(server.url_of(ADMIN), f"SET GLOBAL {READ_ONLY[server.name]} = {value}", *also)


async def job_ids(conn: AsyncConnection) -> set[str]:
    return set(await conn.scalars(select(jobs.c.id)))


async def test_a_switch_to_read_only_is_waited_for_on_another_connection(server: SqlServer, url: str) -> None:
    """Row 31 of the faults: error 1290."""
    connections: list[int] = []
    patient = open_database(url, retry_seconds=60.0)

    async def work(conn: AsyncConnection) -> None:
        connections.append((await conn.execute(text("SELECT CONNECTION_ID()"))).scalar_one())
        if len(connections) == 2:
            await switch(server, read_only=False)
        await meta.get_or_set(conn, "a", "0")

    await patient.read(now)
    await switch(server, read_only=True)
    await patient.write(work)
    assert len(connections) == len(set(connections)) >= 2
    await patient.close()


async def test_a_server_that_stays_read_only_still_answers_what_is_read(server: SqlServer, database: Database) -> None:
    await switch(server, read_only=True)
    with pytest.raises(UnavailableError):
        await database.write(partial(meta.get_or_set, name="a", fresh="0"))
    await database.read(now)
    await switch(server, read_only=False)
    await database.write(partial(meta.get_or_set, name="a", fresh="0"))


async def test_a_server_killed_under_load_loses_nothing_that_was_acknowledged(
    server: SqlServer, database: Database
) -> None:
    """Row 32: meanwhile clients are told to come back; afterwards all goes on, in the same processes."""
    platform = parts_of(database, MemoryBus(), open_store("memory://"))
    transport = httpx.ASGITransport(create_app(platform, ApiSettings()))
    acknowledged: list[str] = []
    refused: list[httpx.Response] = []
    loaded, down = asyncio.Event(), asyncio.Event()
    goal = math.inf

    async def submit_on_and_on(api: httpx.AsyncClient) -> None:
        while len(acknowledged) < goal:
            response = await api.post(f"{NS}/jobs", json={"entrypoint": "true"})
            if response.status_code == 201:
                acknowledged.append(response.json()["id"])
                if len(acknowledged) == 40:
                    loaded.set()
                continue
            refused.append(response)
            down.set()
            await asyncio.sleep(0.05)  # less than it is told to wait, and enough to leave the server a processor

    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7878")
    async with client as api, asyncio.TaskGroup() as clients:
        for _ in range(4):
            clients.create_task(submit_on_and_on(api))
        await loaded.wait()
        await asyncio.to_thread(server.kill)
        await down.wait()
        goal = len(acknowledged) + 8
        await asyncio.to_thread(server.start)
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= await database.read(job_ids)
    assert {response.status_code for response in refused} == {503}
    assert all(response.headers["retry-after"] for response in refused)
    assert all(response.json()["code"] == "unavailable" for response in refused)


async def test_connections_are_encrypted_and_the_server_is_checked(server: SqlServer, url: str, tmp_path: Path) -> None:
    async def cipher(conn: AsyncConnection) -> str:
        return str((await conn.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))).one()[1])

    encrypted = open_database(url, tls_ca=server.folder / "tls/certificate.pem")
    assert await encrypted.read(cipher)
    assert await encrypted.write(cipher)
    await encrypted.close()
    stranger, _ = self_signed(tmp_path)
    suspicious = open_database(url, tls_ca=stranger, retry_seconds=0.1)
    with pytest.raises(UnavailableError, match="certificate"):
        await suspicious.read(now)
    await suspicious.close()


async def test_a_server_that_is_away_at_the_start_is_unavailable(server: SqlServer, database: Database) -> None:
    server.stop()
    with pytest.raises(UnavailableError):
        await upgrade(database)
    with pytest.raises(UnavailableError):
        await database.read(now)
    server.start()
    await upgrade(database)
    await database.read(now)
