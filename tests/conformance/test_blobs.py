"""One suite for every kind of object store that we run on."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from obstore.store import ObjectStore

from dartjobs.blobs import logs as blob_logs
from dartjobs.blobs.logs import CHUNK, Logs
from dartjobs.blobs.packages import Packages, Stored
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Upload, Uploads
from dartjobs.client.packaging import pack
from dartjobs.models.problem import InvalidRequestError, PackageMismatchError, PackageTooLargeError, UploadOffsetError
from tests.fakes.zips import pieces, ref_of, zipped

LIMIT = 20 * 2**20


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store({"file": f"{tmp_path.as_uri()}/blobs", "memory": "memory://"}[request.param])


@pytest.fixture
def packages(store: ObjectStore) -> Packages:
    return Packages(store)


@pytest.fixture
def uploads(store: ObjectStore) -> Uploads:
    return Uploads(store)


@pytest.fixture
def logs(store: ObjectStore) -> Logs:
    return Logs(store)


UPLOAD = Upload("team-a", ref_of(b"1"), "ann")


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def breaking(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise ConnectionResetError


def stored(data: bytes, gen: str = "a1") -> Stored:
    return Stored("team-a", ref_of(data), gen)


async def keys(store: ObjectStore) -> set[str]:
    return {meta["path"] for meta in await store.list().collect_async()}


async def appended(logs: Logs, chunks: Iterable[bytes]) -> bytes:
    """The log made of the chunks."""
    end = 0
    for chunk in chunks:
        end = await logs.append("a1", "out", end, chunk)
    return b"".join(chunks)


class TestPackages:
    """Packages are whole and verified, or not there."""

    async def test_what_is_written_can_be_read(self, packages: Packages, store: ObjectStore) -> None:
        data = zipped(**{"main.py": b"print()", "large.bin": bytes(12 * 2**20)})
        one = stored(data)
        assert await packages.open(one) is None
        assert await packages.write(one, pieces(data), limit=LIMIT) == len(data)
        found = await packages.open(one)
        assert found is not None
        assert found[0] == len(data)
        assert await joined(found[1]) == data
        assert await keys(store) == {f"packages/team-a/{sha256(data).hexdigest()}-a1"}

    async def test_generations_and_namespaces_are_apart(self, packages: Packages) -> None:
        data = zipped(a=b"1")
        one = stored(data)
        await packages.write(one, pieces(data), limit=LIMIT)
        assert await packages.open(one._replace(namespace="team-b")) is None
        assert await packages.open(one._replace(gen="a2")) is None
        await packages.write(one._replace(gen="a2"), pieces(data), limit=LIMIT)
        await packages.delete(one)
        await packages.delete(one)
        assert await packages.open(one) is None
        assert await packages.open(one._replace(gen="a2")) is not None

    async def test_two_who_write_the_same_at_once_both_succeed(self, packages: Packages, store: ObjectStore) -> None:
        data = zipped(a=bytes(200_000))
        one = stored(data)
        both = (packages.write(one._replace(gen=gen), pieces(data, 1_000), limit=LIMIT) for gen in ("a1", "a2"))
        assert await asyncio.gather(*both) == [len(data), len(data)]
        assert len(await keys(store)) == 2

    async def test_too_many_bytes_are_refused_early(self, packages: Packages, store: ObjectStore) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 100_000
                yield bytes(100_000)

        with pytest.raises(PackageTooLargeError, match="1,000,000 bytes"):
            await packages.write(stored(b""), endless(), limit=1_000_000)
        assert sent <= 1_100_000
        assert await keys(store) == set()

    async def test_the_limit_itself_is_allowed(self, packages: Packages) -> None:
        data = zipped(a=b"1")
        assert await packages.write(stored(data), pieces(data), limit=len(data)) == len(data)

    async def test_other_bytes_than_named_are_refused(self, packages: Packages, store: ObjectStore) -> None:
        with pytest.raises(PackageMismatchError, match="Upload again"):
            await packages.write(stored(b"other"), pieces(zipped(a=b"1")), limit=LIMIT)
        assert await keys(store) == set()

    @pytest.mark.parametrize(
        "data",
        [b"", b"no zip", zipped(**{"../x": b""}), zipped(a=bytes(100_000))],
        ids=["empty", "no zip", "leads elsewhere", "unpacks to too much"],
    )
    async def test_what_must_not_be_unpacked_is_refused(
        self, packages: Packages, store: ObjectStore, data: bytes
    ) -> None:
        limit = max(len(data), 1_000) if len(data) < 1_000 else LIMIT // 10_000
        with pytest.raises((InvalidRequestError, PackageTooLargeError)):
            await packages.write(stored(data), pieces(data), limit=limit)
        assert await keys(store) == set()

    @pytest.mark.parametrize(
        "one",
        [
            Stored("..", ref_of(b""), "1"),
            Stored("a/b", ref_of(b""), "1"),
            Stored("", ref_of(b""), "1"),
            Stored("a", "sha256:../../x", "1"),
            Stored("a", "x", "1"),
            Stored("a", "", "1"),
            Stored("a", ref_of(b""), "/../1"),
        ],
    )
    async def test_names_cannot_lead_elsewhere(self, packages: Packages, uploads: Uploads, one: Stored) -> None:
        with pytest.raises(InvalidRequestError):
            await packages.write(one, pieces(b""), limit=LIMIT)
        with pytest.raises(InvalidRequestError):
            await packages.open(one)
        with pytest.raises(InvalidRequestError):
            await packages.delete(one)
        if one.gen == "1":
            with pytest.raises(InvalidRequestError):
                await uploads.append(Upload(one.namespace, one.ref, "ann"), 0, pieces(b"x"), limit=LIMIT)

    async def test_an_upload_that_breaks_off_leaves_nothing(self, packages: Packages, store: ObjectStore) -> None:
        with pytest.raises(ConnectionResetError):
            await packages.write(stored(b""), breaking(bytes(6 * 2**20)), limit=LIMIT)
        assert await keys(store) == set()

    async def test_a_cancelled_upload_leaves_nothing(self, packages: Packages, store: ObjectStore) -> None:
        half_way = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield bytes(6 * 2**20)
            half_way.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(packages.write(stored(b""), stuck(), limit=LIMIT))
        await half_way.wait()
        assert await packages.open(stored(b"")) is None
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await keys(store) == set()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_old_objects_are_listed_whatever_else_lies_there(
        self, packages: Packages, store: ObjectStore
    ) -> None:
        data = zipped(a=b"1")
        await packages.write(stored(data), pieces(data), limit=LIMIT)
        await store.put_async("packages/team-a/what-is-this", b"nothing of ours")
        now = datetime.now(UTC)
        assert await packages.older(now - timedelta(days=1)) == []
        assert await packages.older(now + timedelta(seconds=2)) == [stored(data)]

    async def test_what_the_client_packs_is_taken(self, packages: Packages, tmp_path: Path) -> None:
        for name in ("code/a/é.py", "code/empty/x"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("print()" * 1_000)
        (tmp_path / "code/empty/x").unlink()
        with pack(tmp_path / "code") as package:
            data = package.path.read_bytes()
        assert package.ref == ref_of(data)
        assert await packages.write(stored(data), pieces(data), limit=LIMIT) == package.size


class TestUploads:
    """An upload in parts goes on where it stands, whoever serves it."""

    async def test_parts_make_a_whole(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 40_000
        half = len(data) // 2
        assert await Uploads(store).offset(UPLOAD) == 0
        assert await Uploads(store).append(UPLOAD, 0, pieces(data[:half]), limit=LIMIT) == half
        assert await Uploads(store).offset(UPLOAD) == half
        assert await Uploads(store).append(UPLOAD, half, pieces(data[half:]), limit=LIMIT) == len(data)
        assert await joined(Uploads(store).read(UPLOAD)) == data

    async def test_what_came_before_a_break_is_kept(self, uploads: Uploads) -> None:
        with pytest.raises(ConnectionResetError):
            await uploads.append(UPLOAD, 0, breaking(bytes(5_000_000)), limit=LIMIT)
        assert await uploads.offset(UPLOAD) == 5_000_000

    async def test_what_came_before_a_cancellation_is_kept(self, uploads: Uploads) -> None:
        half_way = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield bytes(1_000)
            half_way.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(uploads.append(UPLOAD, 0, stuck(), limit=LIMIT))
        await half_way.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await uploads.offset(UPLOAD) == 1_000

    @pytest.mark.parametrize("offset", [0, 2, 4])
    async def test_another_offset_is_refused_with_the_right_one(self, uploads: Uploads, offset: int) -> None:
        await uploads.append(UPLOAD, 0, pieces(b"abc"), limit=LIMIT)
        with pytest.raises(UploadOffsetError, match="first 3 bytes") as caught:
            await uploads.append(UPLOAD, offset, pieces(b"def"), limit=LIMIT)
        assert caught.value.offset == 3
        assert await joined(uploads.read(UPLOAD)) == b"abc"

    async def test_two_who_send_the_same_end_with_one_whole(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 100

        async def send(size: int) -> None:
            uploads, at = Uploads(store), 0
            while at < len(data):
                try:
                    at = await uploads.append(UPLOAD, at, pieces(data[at : at + size]), limit=LIMIT)
                except UploadOffsetError as error:
                    at = error.offset or 0

        await asyncio.gather(send(700), send(900), send(1_100))
        assert await joined(Uploads(store).read(UPLOAD)) == data

    async def test_users_and_packages_do_not_mix(self, uploads: Uploads) -> None:
        others = [UPLOAD._replace(user="bob/../ann"), UPLOAD._replace(namespace="b"), UPLOAD._replace(ref=ref_of(b"2"))]
        await uploads.append(UPLOAD, 0, pieces(b"abc"), limit=LIMIT)
        assert [await uploads.offset(other) for other in others] == [0, 0, 0]
        await uploads.append(others[0], 0, pieces(b"x"), limit=LIMIT)
        await uploads.discard(UPLOAD)
        assert [await uploads.offset(one) for one in (UPLOAD, others[0])] == [0, 1]

    async def test_more_than_the_limit_is_refused(self, uploads: Uploads) -> None:
        await uploads.append(UPLOAD, 0, pieces(bytes(600)), limit=1_000)
        with pytest.raises(PackageTooLargeError, match="1,000 bytes"):
            await uploads.append(UPLOAD, 600, pieces(bytes(401)), limit=1_000)

    async def test_what_is_left_of_a_discarded_one_does_not_count(self, uploads: Uploads, store: ObjectStore) -> None:
        await uploads.append(UPLOAD, 0, pieces(b"abc"), limit=LIMIT)
        await uploads.append(UPLOAD, 3, pieces(b"def"), limit=LIMIT)
        first = min(await keys(store))
        await store.delete_async(first)
        assert await uploads.offset(UPLOAD) == 0
        assert await uploads.append(UPLOAD, 0, pieces(b"ab"), limit=LIMIT) == 2
        assert await uploads.append(UPLOAD, 2, pieces(b"c"), limit=LIMIT) == 3
        with pytest.raises(UploadOffsetError) as caught:
            await uploads.append(UPLOAD, 3, pieces(b"d"), limit=LIMIT)
        assert caught.value.offset == 6

    async def test_old_ones_are_discarded(self, uploads: Uploads, store: ObjectStore) -> None:
        await uploads.append(UPLOAD, 0, pieces(b"abc"), limit=LIMIT)
        now = datetime.now(UTC)
        assert await uploads.discard_stale(now - timedelta(days=1)) == 0
        assert await uploads.discard_stale(now + timedelta(seconds=2)) == 1
        assert await keys(store) == set()


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
