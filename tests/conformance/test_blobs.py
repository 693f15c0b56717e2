"""One suite for every kind of object store that we run on."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
from obstore.store import ObjectStore

from dartjobs.blobs import logs as blob_logs
from dartjobs.blobs.logs import CHUNK, Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.client.packaging import pack
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import InvalidRequestError, PackageMismatchError, PackageTooLargeError

LIMIT = 20 * 2**20


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store({"file": f"{tmp_path.as_uri()}/blobs", "memory": "memory://"}[request.param])


@pytest.fixture
def packages(store: ObjectStore) -> Packages:
    return Packages(store)


@pytest.fixture
def logs(store: ObjectStore) -> Logs:
    return Logs(store)


def zipped(**files: bytes) -> bytes:
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def ref_of(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


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

    async def test_what_is_put_can_be_read(self, packages: Packages) -> None:
        data = zipped(**{"main.py": b"print()", "large.bin": bytes(12 * 2**20)})
        info = PackageInfo(ref=ref_of(data), size=len(data))
        assert await packages.head("team-a", info.ref) is None
        assert await packages.open("team-a", info.ref) is None
        assert await packages.put("team-a", info.ref, pieces(data), limit=LIMIT) == (info, True)
        assert await packages.head("team-a", info.ref) == info
        found = await packages.open("team-a", info.ref)
        assert found is not None
        assert found[0] == len(data)
        assert await joined(found[1]) == data

    async def test_putting_it_again_stores_nothing_new(self, packages: Packages, store: ObjectStore) -> None:
        data = zipped(a=b"1")
        await packages.put("team-a", ref_of(data), pieces(data), limit=LIMIT)
        assert await packages.put("team-a", ref_of(data), pieces(data), limit=LIMIT) == (
            PackageInfo(ref=ref_of(data), size=len(data)),
            False,
        )
        assert await keys(store) == {f"packages/team-a/{sha256(data).hexdigest()}"}

    async def test_putting_it_again_verifies_what_is_sent(self, packages: Packages) -> None:
        data = zipped(a=b"1")
        await packages.put("team-a", ref_of(data), pieces(data), limit=LIMIT)
        with pytest.raises(PackageMismatchError):
            await packages.put("team-a", ref_of(data), pieces(zipped(a=b"2")), limit=LIMIT)

    async def test_two_who_put_the_same_at_once_both_succeed(self, packages: Packages, store: ObjectStore) -> None:
        data = zipped(a=bytes(200_000))
        both = (packages.put("team-a", ref_of(data), pieces(data, 1_000), limit=LIMIT) for _ in range(2))
        for info, _ in await asyncio.gather(*both):
            assert info.size == len(data)
        assert await keys(store) == {f"packages/team-a/{sha256(data).hexdigest()}"}

    async def test_namespaces_do_not_see_each_other(self, packages: Packages) -> None:
        data = zipped(a=b"1")
        await packages.put("team-a", ref_of(data), pieces(data), limit=LIMIT)
        assert await packages.head("team-b", ref_of(data)) is None

    async def test_too_many_bytes_are_refused_as_soon_as_they_come(
        self, packages: Packages, store: ObjectStore
    ) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 1_000
                yield bytes(1_000)

        with pytest.raises(PackageTooLargeError, match="larger than the limit of 10,000 bytes"):
            await packages.put("team-a", ref_of(b""), endless(), limit=10_000)
        assert sent == 11_000
        assert await keys(store) == set()

    async def test_a_package_of_just_the_limit_is_taken(self, packages: Packages) -> None:
        data = zipped(a=b"1")
        _, new = await packages.put("team-a", ref_of(data), pieces(data), limit=len(data))
        assert new

    async def test_other_bytes_than_named_are_refused(self, packages: Packages, store: ObjectStore) -> None:
        with pytest.raises(PackageMismatchError, match="Upload again"):
            await packages.put("team-a", ref_of(b"other"), pieces(zipped(a=b"1")), limit=LIMIT)
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
            await packages.put("team-a", ref_of(data), pieces(data), limit=limit)
        assert await keys(store) == set()

    @pytest.mark.parametrize(
        ("namespace", "ref"),
        [("..", ref_of(b"")), ("a/b", ref_of(b"")), ("", ref_of(b"")), ("a", "sha256:../../x"), ("a", "x"), ("a", "")],
    )
    async def test_names_cannot_lead_elsewhere(self, packages: Packages, namespace: str, ref: str) -> None:
        with pytest.raises(InvalidRequestError):
            await packages.put(namespace, ref, pieces(b""), limit=LIMIT)
        with pytest.raises(InvalidRequestError):
            await packages.head(namespace, ref)
        with pytest.raises(InvalidRequestError):
            await packages.open(namespace, ref)

    async def test_an_upload_that_breaks_off_leaves_nothing(self, packages: Packages, store: ObjectStore) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield bytes(6 * 2**20)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await packages.put("team-a", ref_of(b""), broken(), limit=LIMIT)
        assert await keys(store) == set()

    async def test_a_cancelled_upload_leaves_nothing(self, packages: Packages, store: ObjectStore) -> None:
        half_way = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield bytes(6 * 2**20)
            half_way.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(packages.put("team-a", ref_of(b""), stuck(), limit=LIMIT))
        await half_way.wait()
        assert await packages.head("team-a", ref_of(b"")) is None
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await keys(store) == set()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_what_a_killed_server_left_is_discarded_once_old(
        self, packages: Packages, store: ObjectStore
    ) -> None:
        data = zipped(a=b"1")
        await packages.put("team-a", ref_of(data), pieces(data), limit=LIMIT)
        await store.put_async("incoming/0123", b"half a package")
        now = datetime.now(UTC)
        assert await packages.discard_incoming(now - timedelta(days=1)) == 0
        assert await packages.discard_incoming(now + timedelta(seconds=2)) == 1
        assert await keys(store) == {f"packages/team-a/{sha256(data).hexdigest()}"}

    async def test_what_the_client_packs_is_taken(self, packages: Packages, tmp_path: Path) -> None:
        for name in ("code/a/é.py", "code/empty/x"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("print()" * 1_000)
        (tmp_path / "code/empty/x").unlink()
        with pack(tmp_path / "code") as package:
            data = package.path.read_bytes()
        info, new = await packages.put("team-a", package.ref, pieces(data), limit=LIMIT)
        assert new
        assert info == PackageInfo(ref=package.ref, size=package.size)


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
