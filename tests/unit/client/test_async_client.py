import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from dartjobs import AsyncClient, Job, NotFoundError, WaitTimeoutError
from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.fakes.server import Server


@pytest.fixture
async def aclient(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, user="ada") as one:
        yield one


async def test_a_job_from_its_submission_to_its_end(api: FakeApi, aclient: AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('hello')\n")
    handle = await aclient.submit(entrypoint="python main.py", working_dir=tmp_path)
    assert (await handle.get()).spec.runtime_env.working_dir in api.packages
    assert [job.id async for job in aclient.list()] == [handle.id]
    with pytest.raises(WaitTimeoutError):
        await handle.wait(timeout=0.2)

    waiting = asyncio.create_task(handle.wait())
    api.run(handle.id)
    api.write(handle.id, b"hello\n")
    assert (await handle.stop("bored")).stop is not None
    api.end(handle.id, JobState.STOPPED)
    assert (await waiting).job_state is JobState.STOPPED
    assert b"".join([piece async for piece in handle.logs()]) == b"hello\n"
    assert len(await handle.events()) == 4
    assert isinstance([one async for one in handle.watch()][-1], Job)


async def test_follow_survives_a_server_that_is_killed(api: FakeApi, server: Server, aclient: AsyncClient) -> None:
    job_id = api.add().id
    api.run(job_id)
    api.write(job_id, b"before ")
    followed = b""
    async with aclosing(aclient.follow(job_id)) as pieces:
        async for piece in pieces:
            followed += piece
            if followed == b"before ":
                await asyncio.to_thread(server.kill)
                api.write(job_id, b"after\n")
                api.end(job_id)
                await asyncio.to_thread(server.restart)
    assert followed == b"before after\n"


async def test_many_jobs_are_waited_for_at_once(api: FakeApi, aclient: AsyncClient) -> None:
    ids = [api.add().id for _ in range(20)]
    waiting = asyncio.gather(*map(aclient.wait, ids))
    for job_id in reversed(ids):
        api.end(job_id)
    assert {job.id for job in await waiting} == {*ids}


async def test_a_follower_that_is_cancelled_lets_go_of_its_connection(api: FakeApi, aclient: AsyncClient) -> None:
    job_id = api.add().id
    api.write(job_id, b"x")
    pieces = aclient.follow(job_id)
    assert await anext(pieces) == b"x"
    following = asyncio.ensure_future(anext(pieces))
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await pieces.aclose()
    assert (await aclient.health()) == {"status": "ok"}


async def test_an_error_carries_the_id_of_its_request(aclient: AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="There is no job") as caught:
        await aclient.get("job-" + "9" * 26)
    assert caught.value.request_id == "req-1"
