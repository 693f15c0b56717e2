"""One suite for every kind of object store that we run on: packages and uploads."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from obstore.store import ObjectStore

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
