"""Logs, on every kind of object store that we run on."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from obstore.store import ObjectStore

from dartjobs.blobs import logs as blob_logs
from dartjobs.blobs.logs import CHUNK, Logs
from dartjobs.blobs.stores import open_store
from dartjobs.models.problem import InvalidRequestError


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store({"file": f"{tmp_path.as_uri()}/blobs", "memory": "memory://"}[request.param])


@pytest.fixture
def logs(store: ObjectStore) -> Logs:
    return Logs(store)


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def appended(logs: Logs, chunks: Iterable[bytes]) -> bytes:
    """The log made of the chunks."""
    end = 0
    for chunk in chunks:
        end = await logs.append("a1", "out", end, chunk)
    return b"".join(chunks)


class TestLogs:
    """A log is a chain of chunks; whoever writes it is told the truth about its end."""

    async def test_there_is_no_log_at_first(self, logs: Logs) -> None:
        assert await logs.end("a1", "out") == 0
        assert await joined(logs.read("a1", "out", 0)) == b""
        assert await joined(logs.read("a1", "out", 5)) == b""
        assert await logs.tail_offset("a1", "out", 10) == 0

    async def test_what_is_appended_can_be_read(self, logs: Logs) -> None:
        assert await logs.append("a1", "out", 0, b"one\n") == 4
        assert await logs.append("a1", "out", 4, b"two\n") == 8
        assert await joined(logs.read("a1", "out", 0)) == b"one\ntwo\n"
        assert await logs.end("a1", "out") == 8

    async def test_streams_and_attempts_are_apart(self, logs: Logs) -> None:
        await logs.append("a1", "out", 0, b"one")
        await logs.append("a1", "err", 0, b"three")
        await logs.append("a11", "out", 0, b"eleven")
        assert [await logs.end("a1", "out"), await logs.end("a1", "err"), await logs.end("a11", "out")] == [3, 5, 6]

    async def test_beyond_the_end_nothing_is_stored(self, logs: Logs) -> None:
        await logs.append("a1", "out", 0, b"one")
        assert await logs.append("a1", "out", 4, b"late") == 3
        assert await logs.append("a2", "out", 1, b"late") == 0
        assert await joined(logs.read("a1", "out", 0)) == b"one"

    async def test_of_an_overlap_only_the_new_part_is_stored(self, logs: Logs) -> None:
        await logs.append("a1", "out", 0, b"abc")
        assert await logs.append("a1", "out", 1, b"bcde") == 5
        assert await logs.append("a1", "out", 0, b"abc") == 5
        assert await logs.append("a1", "out", 5, b"") == 5
        assert await joined(logs.read("a1", "out", 0)) == b"abcde"

    async def test_a_large_piece_is_stored_as_chunks(self, logs: Logs, store: ObjectStore) -> None:
        data = bytes(range(256)) * (10 * 2**10)
        assert await logs.append("a1", "out", 0, data) == len(data)
        assert {meta["size"] for meta in await store.list().collect_async()} == {CHUNK, CHUNK // 2}
        assert await joined(logs.read("a1", "out", 0)) == data

    async def test_a_writer_with_an_old_view_is_told_the_true_end(self, store: ObjectStore) -> None:
        old, new = Logs(store), Logs(store)
        await old.append("a1", "out", 0, b"abc")
        await new.append("a1", "out", 3, b"def")
        assert await old.append("a1", "out", 3, b"xyz123") == 6
        assert await old.append("a1", "out", 6, b"123") == 9
        assert await new.append("a1", "out", 9, b"!") == 10
        assert await joined(Logs(store).read("a1", "out", 0)) == b"abcdef123!"

    async def test_two_writers_who_race_end_with_one_log(self, store: ObjectStore) -> None:
        """Both send the same log, in pieces of their own, each going on from where it is told to."""
        text = b"".join(b"line %d\n" % number for number in range(500))

        async def send(piece: int) -> list[int]:
            writer, end, told = Logs(store), 0, []
            while end < len(text):
                end = await writer.append("a1", "out", end, text[end : end + piece])
                told.append(end)
            return told

        for told in await asyncio.gather(send(37), send(53), send(101)):
            assert told == sorted(told)
            assert told[-1] == len(text)
        assert await joined(Logs(store).read("a1", "out", 0)) == text
        sizes = [meta["size"] for meta in await store.list().collect_async()]
        assert sum(sizes) == len(text)

    async def test_any_range_can_be_read(self, logs: Logs) -> None:
        text = await appended(logs, [b"a", b"bcd", b"ef", b"ghijkl"])
        for start in range(len(text) + 2):
            assert await joined(logs.read("a1", "out", start)) == text[start:]
            for stop in range(len(text) + 2):
                assert await joined(logs.read("a1", "out", start, stop)) == text[start:stop]

    async def test_a_far_range_does_not_read_the_beginning(self, logs: Logs, store: ObjectStore) -> None:
        await logs.append("a1", "out", 0, bytes(2 * CHUNK))
        await logs.append("a1", "out", 2 * CHUNK, b"the end")
        await store.delete_async(f"logs/a1/out/{0:020d}")
        assert await joined(logs.read("a1", "out", 2 * CHUNK + 4)) == b"end"
        assert await joined(logs.read("a1", "out", 2 * CHUNK - 1)) == b"\0the end"

    async def test_a_reader_goes_on_with_what_is_stored_meanwhile(self, logs: Logs) -> None:
        await logs.append("a1", "out", 0, b"one")
        reader = logs.read("a1", "out", 0)
        assert await anext(reader) == b"one"

    async def test_the_end_is_that_of_the_store(self, store: ObjectStore) -> None:
        reader = Logs(store)
        await Logs(store).append("a1", "out", 0, b"one")
        assert await reader.end("a1", "out") == 3
        await Logs(store).append("a1", "out", 3, b"two")
        assert await reader.end("a1", "out") == 6

    async def test_a_deleted_log_is_forgotten(self, logs: Logs, store: ObjectStore) -> None:
        await logs.append("a1", "out", 0, b"one")
        await logs.append("a11", "out", 0, b"one")
        await store.delete_async(f"logs/a1/out/{0:020d}")
        logs.forget("a1")
        assert await logs.end("a1", "out") == 0
        assert await logs.append("a1", "out", 0, b"again") == 5
        assert await logs.append("a11", "out", 3, b"two") == 6

    @pytest.mark.parametrize(
        "text",
        [b"", b"a", b"a\n", b"\n", b"\n\n", b"a\nb\nc\n", b"a\nb\nc", b"a\n\n\nb\n", b"\na", b"one\r\ntwo\r\n"],
    )
    async def test_a_tail_begins_where_its_first_line_does(self, logs: Logs, text: bytes) -> None:
        await appended(logs, [text[at : at + 2] for at in range(0, len(text), 2)])
        lines = re.findall(rb"[^\n]*\n|[^\n]+", text)
        for number in range(len(lines) + 2):
            expected = b"".join(lines[max(0, len(lines) - number) :])
            assert text[await logs.tail_offset("a1", "out", number) :] == expected

    async def test_a_tail_reaches_over_chunks(self, logs: Logs) -> None:
        text = await appended(logs, [b"first\n" + b"x" * CHUNK, b"y" * CHUNK + b"\nlast\n"])
        assert await logs.tail_offset("a1", "out", 1) == len(text) - 5
        assert await logs.tail_offset("a1", "out", 2) == 6
        assert await logs.tail_offset("a1", "out", 3) == 0

    async def test_a_tail_of_a_log_without_lines_is_bounded(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(blob_logs, "TAIL_REACH", 100)
        await logs.append("a1", "out", 0, b"." * 1_000)
        assert await logs.tail_offset("a1", "out", 1) == 900

    async def test_names_cannot_lead_elsewhere(self, logs: Logs) -> None:
        with pytest.raises(InvalidRequestError):
            await logs.append("../packages", "out", 0, b"x")
        with pytest.raises(InvalidRequestError):
            await logs.append("a1", "out/err", 0, b"x")
