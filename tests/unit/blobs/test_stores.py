"""Opening object stores."""

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, MemoryStore

from dartjobs.blobs.errors import BlobStoreRefusedError
from dartjobs.blobs.stores import object_key, open_store
from dartjobs.models.problem import InvalidRequestError


def test_a_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "with space" / "é"
    store = open_store(folder.as_uri())
    assert isinstance(store, LocalStore)
    store.put("a/b", b"1")
    assert (folder / "a" / "b").read_bytes() == b"1"


def test_memory_is_empty_each_time() -> None:
    first = open_store("memory://")
    assert isinstance(first, MemoryStore)
    first.put("a", b"1")
    assert open_store("memory://").list().collect() == []


@pytest.mark.parametrize("url", ["file://host/folder", "file://folder", "file:folder"])
def test_a_file_url_that_names_no_folder_of_this_machine_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="file:///absolute/path"):
        open_store(url)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BlobStoreRefusedError, match="file/folder cannot be opened: Not a directory"):
        open_store((tmp_path / "file" / "folder").as_uri())


async def test_of_many_who_create_one_object_in_a_folder_one_wins(tmp_path: Path) -> None:
    """What logs rely on; obstore links the written file to its name, which fails where the name is taken."""
    store = open_store(tmp_path.as_uri())

    async def create(number: int) -> bool:
        try:
            await store.put_async("key", bytes([number]) * 100_000, mode="create")
        except AlreadyExistsError:
            return False
        return True

    won = await asyncio.gather(*(create(number) for number in range(30)))
    assert sum(won) == 1
    assert (tmp_path / "key").read_bytes() == bytes([won.index(True)]) * 100_000


def write_for_ever(url: str) -> None:
    store = open_store(url)
    data = os.urandom(4 * 2**20)
    while True:
        store.put("a/killed", data)


def test_a_killed_writer_leaves_a_whole_object_and_hinders_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    writer = multiprocessing.get_context("spawn").Process(target=write_for_ever, args=(tmp_path.as_uri(),))
    writer.start()
    try:
        while not (tmp_path / "a" / "killed").exists():
            assert writer.is_alive()
            os.sched_yield()
    finally:
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
    assert store.head("a/killed")["size"] == 4 * 2**20
    assert [meta["path"] for meta in store.list("a").collect()] == ["a/killed"]
    store.put("a/killed", b"next")
    assert store.get("a/killed").bytes() == b"next"


@pytest.mark.parametrize("segment", ["", ".", "..", "a/b", "a\\b", ".hidden", "a b", "ü", "a" * 129, "a\n"])
def test_a_segment_that_could_lead_elsewhere_is_refused(segment: str) -> None:
    with pytest.raises(InvalidRequestError):
        object_key("logs", segment)


def test_segments_make_a_key() -> None:
    assert object_key("logs", "att-1", "out.txt") == "logs/att-1/out.txt"
