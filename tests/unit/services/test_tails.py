"""Followers of one log share one reader, and each gets every byte."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus import base as topics
from dartjobs.bus.memory import MemoryBus
from dartjobs.models.spec import JobSpec
from dartjobs.services import jobs
from dartjobs.services.platform import Platform
from dartjobs.services.tails import KEPT, STREAM, Tail
from dartjobs.store import evidence
from tests.fakes.engines import database_on


class CountingLogs(Logs):
    """Logs that count how often they are read."""

    reads = 0

    def read(self, attempt_id: str, stream: str, start: int, stop: int | None = None) -> AsyncIterator[bytes]:
        self.reads += 1
        return super().read(attempt_id, stream, start, stop)


@pytest.fixture
async def logs() -> CountingLogs:
    return CountingLogs(open_store("memory://"))


@pytest.fixture
async def platform(tmp_path: Path, logs: CountingLogs) -> AsyncIterator[Platform]:
    store = open_store("memory://")
    async with database_on("sqlite", tmp_path) as database:
        yield Platform(database, MemoryBus(), Packages(store), Uploads(store), logs)


async def attempt_of_a_job(platform: Platform) -> str:
    return (await jobs.submit(platform, "team", "ann", JobSpec(entrypoint="true"))).attempt.id


async def append(platform: Platform, attempt_id: str, offset: int, data: bytes) -> int:
    end = await platform.logs.append(attempt_id, STREAM, offset, data)
    await platform.bus.publish(topics.log_topic(attempt_id))
    return end


async def complete(platform: Platform, attempt_id: str, end: int) -> None:
    report = partial(evidence.report, attempt_id=attempt_id, kind="log_end", body={"bytes": end})
    await platform.database.write(report)
    await platform.bus.publish(topics.log_topic(attempt_id))


async def followed(platform: Platform, attempt_id: str, position: int = 0) -> bytes:
    async with asyncio.timeout(60):
        return b"".join([chunk async for chunk in platform.tails.follow(attempt_id, position)])


async def test_a_hundred_followers_get_every_byte_of_one_reader(platform: Platform, logs: CountingLogs) -> None:
    attempt_id = await attempt_of_a_job(platform)
    lines = [f"line {number}\n".encode() for number in range(30)]
    end = await append(platform, attempt_id, 0, b"before\n")
    followers = [asyncio.create_task(followed(platform, attempt_id)) for _ in range(100)]
    late = asyncio.create_task(followed(platform, attempt_id, 7))
    for line in lines:
        end = await append(platform, attempt_id, end, line)
        await asyncio.sleep(0)
    await complete(platform, attempt_id, end)
    whole = b"before\n" + b"".join(lines)
    assert set(await asyncio.gather(*followers)) == {whole}
    assert await late == whole[7:]
    assert logs.reads < 100 + 2 * len(lines) + 20  # each catches up once; what comes then is read for all of them


async def test_who_is_far_behind_reads_the_store(platform: Platform) -> None:
    attempt_id = await attempt_of_a_job(platform)
    stream = platform.tails.follow(attempt_id, 0)
    end = await append(platform, attempt_id, 0, b"first")
    async with asyncio.timeout(60):
        assert await anext(stream) == b"first"
        pieces = [bytes([number]) * (KEPT // 4) for number in range(12)]
        for piece in pieces:
            end = await append(platform, attempt_id, end, piece)
        await complete(platform, attempt_id, end)
        assert b"".join([chunk async for chunk in stream]) == b"".join(pieces)


async def test_a_log_that_is_complete_is_followed_to_its_end(platform: Platform) -> None:
    attempt_id = await attempt_of_a_job(platform)
    await complete(platform, attempt_id, await append(platform, attempt_id, 0, b"all of it"))
    assert await followed(platform, attempt_id) == b"all of it"
    assert await followed(platform, attempt_id, 9) == b""


def test_a_tail_keeps_the_newest_bytes() -> None:
    tail = Tail(10, kept=8)
    for chunk in (b"abcd", b"efgh", b"ij"):
        tail.add(chunk)
    assert (tail.start, tail.end) == (14, 20)
    assert [tail.after(position) for position in (14, 15, 18, 19, 20)] == [b"efgh", b"fgh", b"ij", b"j", b""]
