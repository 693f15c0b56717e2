"""Packages as a service: seen when whole, kept while needed, swept when nobody uses them; and the faults in between."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dartjobs.blobs.packages import Packages, Stored
from dartjobs.blobs.uploads import Upload
from dartjobs.bus.memory import MemoryBus
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import PackageMismatchError, PackageNotFoundError, UnavailableError
from dartjobs.models.spec import JobSpec, RuntimeEnv
from dartjobs.services import jobs, packages
from dartjobs.services.platform import Platform
from dartjobs.store import packages as store
from dartjobs.store.database import now
from tests.fakes.blobs import FolderStore
from tests.fakes.platform import parts_of, platform_at
from tests.fakes.zips import pieces, ref_of, zipped

LIMIT = 20 * 2**20
DATA = zipped(a=b"1")
REF = ref_of(DATA)
UPLOAD = Upload("team", REF, "ann")
AGO = timedelta(days=-1)
"""As an age it lies ahead: whatever was used until now is old."""


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


async def put(platform: Platform, data: bytes = DATA) -> tuple[PackageInfo, bool]:
    return await packages.put(platform, "team", ref_of(data), pieces(data), limit=LIMIT)


async def read(platform: Platform, ref: str = REF) -> bytes | None:
    found = await packages.read(platform, "team", ref)
    return None if found is None else b"".join([chunk async for chunk in found[1]])


async def objects(platform: Platform) -> list[Stored]:
    """Every object of a package, as old as it may be."""
    return await platform.packages.older(await platform.database.read(now) + timedelta(days=1))


def spec(ref: str = REF) -> JobSpec:
    return JobSpec(entrypoint="true", runtime_env=RuntimeEnv(working_dir=ref))


async def test_what_is_put_is_there_for_its_namespace(platform: Platform) -> None:
    assert await packages.head(platform, "team", REF) is None
    assert await read(platform) is None
    assert await put(platform) == (PackageInfo(ref=REF, size=len(DATA)), True)
    assert await packages.head(platform, "team", REF) == PackageInfo(ref=REF, size=len(DATA))
    assert await read(platform) == DATA
    assert await packages.head(platform, "other", REF) is None


async def test_putting_it_again_verifies_what_is_sent_and_stores_nothing(platform: Platform) -> None:
    await put(platform)
    before = await objects(platform)
    assert await put(platform) == (PackageInfo(ref=REF, size=len(DATA)), False)
    with pytest.raises(PackageMismatchError):
        await packages.put(platform, "team", REF, pieces(zipped(a=b"2")), limit=LIMIT)
    assert await objects(platform) == before


async def test_of_two_who_put_the_same_at_once_one_is_kept(platform: Platform) -> None:
    both_begun, begun = asyncio.Event(), 0

    async def together() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        if begun == 2:
            both_begun.set()
        await both_begun.wait()
        yield DATA

    both = (packages.put(platform, "team", REF, together(), limit=LIMIT) for _ in range(2))
    results = await asyncio.gather(*both)
    assert sorted(new for _, new in results) == [False, True]
    assert len(await objects(platform)) == 1
    assert await read(platform) == DATA


async def test_an_upload_in_parts_becomes_a_package(platform: Platform) -> None:
    assert await packages.receive(platform, UPLOAD, 0, pieces(DATA[:10]), complete=False, limit=LIMIT) == 10
    assert await packages.received(platform, UPLOAD) == 10
    assert await packages.head(platform, "team", REF) is None
    made = await packages.receive(platform, UPLOAD, 10, pieces(DATA[10:]), complete=True, limit=LIMIT)
    assert made == (PackageInfo(ref=REF, size=len(DATA)), True)
    assert await packages.received(platform, UPLOAD) == 0
    assert await read(platform) == DATA


async def test_an_upload_with_another_hash_is_discarded_and_hinders_nobody(platform: Platform) -> None:
    wrong = DATA[:-1] + b"?"
    other = UPLOAD._replace(user="bob")
    await packages.receive(platform, other, 0, pieces(DATA[:10]), complete=False, limit=LIMIT)
    with pytest.raises(PackageMismatchError):
        await packages.receive(platform, UPLOAD, 0, pieces(wrong), complete=True, limit=LIMIT)
    assert await packages.received(platform, UPLOAD) == 0
    assert await objects(platform) == []
    await packages.receive(platform, other, 10, pieces(DATA[10:]), complete=True, limit=LIMIT)
    assert await read(platform) == DATA


async def test_the_last_part_may_be_empty_and_sent_again(platform: Platform) -> None:
    await packages.receive(platform, UPLOAD, 0, pieces(DATA), complete=False, limit=LIMIT)
    both = (packages.receive(platform, UPLOAD, len(DATA), pieces(b""), complete=True, limit=LIMIT) for _ in range(2))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert (PackageInfo(ref=REF, size=len(DATA)), True) in results
    assert await read(platform) == DATA


async def test_a_job_without_its_package_is_refused_and_leaves_nothing(platform: Platform) -> None:
    with pytest.raises(PackageNotFoundError):
        await jobs.submit(platform, "team", "ann", spec())
    page = await jobs.list_page(platform, "team", jobs.JobFilter(), limit=10, cursor=None)
    assert page.items == []


async def test_what_nobody_uses_is_swept_and_can_be_uploaded_again(platform: Platform) -> None:
    await put(platform)
    assert await packages.sweep(platform, timedelta(hours=1)) == 0
    assert await packages.sweep(platform, AGO) == 1
    assert await packages.head(platform, "team", REF) is None
    assert await objects(platform) == []
    assert await put(platform) == (PackageInfo(ref=REF, size=len(DATA)), True)


async def test_what_an_unfinished_job_needs_is_never_swept(platform: Platform) -> None:
    await put(platform)
    await jobs.submit(platform, "team", "ann", spec())
    assert await packages.sweep(platform, AGO) == 0
    assert await read(platform) == DATA


async def test_a_sweep_that_was_killed_is_finished_by_the_next(platform: Platform) -> None:
    await put(platform)
    at = await platform.database.read(now)
    (one,) = await platform.database.read(partial(store.unused, before=at + timedelta(days=1)))
    assert await platform.database.write(partial(store.mark_deleting, one=one, before=at + timedelta(days=1)))
    assert await packages.head(platform, "team", REF) is None
    with pytest.raises(PackageNotFoundError):
        await jobs.submit(platform, "team", "ann", spec())
    assert await packages.sweep(platform, timedelta(days=1)) == 1
    assert await objects(platform) == []


async def test_what_is_stored_while_its_forerunner_is_swept_stays(platform: Platform) -> None:
    await put(platform)
    later = await platform.database.read(now) + timedelta(days=1)
    (one,) = await platform.database.read(partial(store.unused, before=later))
    assert await platform.database.write(partial(store.mark_deleting, one=one, before=later))
    assert await put(platform) == (PackageInfo(ref=REF, size=len(DATA)), True)
    await platform.packages.delete(Stored(one.namespace, one.ref, one.gen))
    await platform.database.write(partial(store.forget, one=one))
    assert await read(platform) == DATA


async def test_a_sweep_with_an_old_view_takes_nothing_that_was_used_since(platform: Platform) -> None:
    await put(platform)
    later = await platform.database.read(now) + timedelta(days=1)
    (one,) = await platform.database.read(partial(store.unused, before=later))
    await jobs.submit(platform, "team", "ann", spec())
    assert not await platform.database.write(partial(store.mark_deleting, one=one, before=later))


async def test_what_was_left_behind_is_swept_once_old(tmp_path: Path) -> None:
    """An object that no row names, and an upload with which nobody went on."""
    folder = tmp_path / "objects"
    async with platform_at(tmp_path) as real:
        platform = parts_of(real.database, MemoryBus(), FolderStore(folder).store)
        await put(platform)
        await platform.packages.write(Stored("team", REF, "dead"), pieces(DATA), limit=LIMIT)
        await packages.receive(platform, UPLOAD, 0, pieces(DATA[:10]), complete=False, limit=LIMIT)
        await packages.sweep(platform, timedelta(days=1))
        assert (len(await objects(platform)), await packages.received(platform, UPLOAD)) == (2, 10)
        for path in folder.rglob("*"):
            os.utime(path, (0, 0))
        await packages.sweep(platform, timedelta(days=1))
        assert (len(await objects(platform)), await packages.received(platform, UPLOAD)) == (1, 0)
        assert await read(platform) == DATA


async def test_a_package_whose_object_vanished_is_uploaded_again(platform: Platform) -> None:
    await put(platform)
    (one,) = await objects(platform)
    await platform.packages.delete(one)
    assert await read(platform) is None
    assert await packages.head(platform, "team", REF) is None
    assert (await put(platform))[1]


async def test_while_the_object_store_is_away_uploads_say_so_and_known_packages_do(tmp_path: Path) -> None:
    folder = FolderStore(tmp_path / "objects")
    other = zipped(a=b"2")
    async with platform_at(tmp_path) as real:
        platform = parts_of(real.database, MemoryBus(), folder.store)
        await put(platform)
        with folder.away():
            with pytest.raises(UnavailableError, match="object store"):
                await put(platform, other)
            with pytest.raises(UnavailableError, match="object store"):
                await packages.receive(platform, UPLOAD, 0, pieces(other), complete=False, limit=LIMIT)
            with pytest.raises(UnavailableError, match="object store"):
                await packages.sweep(platform, AGO)
            await put_is_refused_as_absent(platform, ref_of(other))
        assert (await put(platform, other))[1]
        assert (await jobs.submit(platform, "team", "ann", spec(ref_of(other)))).spec == spec(ref_of(other))


async def put_is_refused_as_absent(platform: Platform, ref: str) -> None:
    """A job that needs what could not be uploaded is refused; one that needs nothing new is taken."""
    with pytest.raises(PackageNotFoundError):
        await jobs.submit(platform, "team", "ann", spec(ref))
    await jobs.submit(platform, "team", "ann", JobSpec(entrypoint="true"))


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.mark.parametrize(
    ("kind", "soft"), [(resource.RLIMIT_FSIZE, 3 * 2**20), (resource.RLIMIT_NOFILE, 3)], ids=["disk", "descriptors"]
)
async def test_a_full_disk_and_too_few_descriptors_pass_without_a_restart(tmp_path: Path, kind: int, soft: int) -> None:
    data = zipped(large=bytes(8 * 2**20))
    one = Stored("team", ref_of(data), "1")
    store_of = Packages(FolderStore(tmp_path / "objects").store)
    with limited(kind, soft), pytest.raises(UnavailableError, match="Try again"):
        await store_of.write(one, pieces(data), limit=LIMIT)
    assert await store_of.write(one, pieces(data), limit=LIMIT) == len(data)
