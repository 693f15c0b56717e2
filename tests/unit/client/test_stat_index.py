"""Unchanged code is known without reading it, and nothing that changed is taken for unchanged."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from dartjobs.client import stat_index
from dartjobs.client.packaging import DEFAULT_LIMIT, pack
from dartjobs.client.stat_index import RACY, StatIndex, cache_folder


def later() -> int:
    """A clock by which files that were just written are old."""
    return time.time_ns() + 2 * RACY


@pytest.fixture
def index(tmp_path: Path) -> StatIndex:
    return StatIndex(tmp_path / "cache", later)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    for name, text in {
        "main.py": "print(1)",
        "pkg/a.py": "a = 1",
        "pkg/b.py": "b = 2",
        "data/big.bin": "12345",
        ".gitignore": "data/\n*.log\n",
        "run.log": "x",
        ".git/HEAD": "ref",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "empty").mkdir()
    (folder / "link.py").symlink_to("main.py")
    return folder


def known(index: StatIndex, folder: Path) -> str | None:
    found = index.known(folder, limit=DEFAULT_LIMIT)
    return None if found is None else found.ref


def packed(index: StatIndex, folder: Path) -> str:
    with pack(folder, index=index) as package:
        return package.ref


def tick(folder: Path) -> None:
    """Let the clock of the file system go on, so that a change now has another time than one before."""
    scratch = folder.parent / "scratch"
    scratch.touch()
    first = scratch.stat().st_ctime_ns
    while scratch.stat().st_ctime_ns == first:
        scratch.touch()


def test_a_folder_is_known_once_it_was_packed(index: StatIndex, code: Path) -> None:
    assert known(index, code) is None
    ref = packed(index, code)
    assert known(index, code) == ref
    with chdir(code):
        assert known(index, Path()) == ref
    (code.parent / "other").symlink_to(code)
    assert known(index, code.parent / "other") == ref


def test_what_was_left_out_with_a_warning_is_told_again(index: StatIndex, code: Path) -> None:
    (code / "dangling").symlink_to("nowhere")
    os.mkfifo(code / "pipe")
    with pack(code, index=index) as package:
        found = index.known(code, limit=DEFAULT_LIMIT)
        assert found is not None
        assert found.warnings == package.warnings != []
        assert (found.ref, found.size) == (package.ref, package.size)


def test_what_is_too_large_for_a_new_limit_is_not_known(index: StatIndex, code: Path) -> None:
    packed(index, code)
    assert index.known(code, limit=10) is None


def same_size_and_mtime(code: Path) -> None:
    path = code / "main.py"
    before = path.stat()
    path.write_text("print(2)")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_copy(code: Path) -> None:
    path = code / "main.py"
    before = path.stat()
    (code.parent / "fresh").write_text("print(3)")
    os.utime(code.parent / "fresh", ns=(before.st_atime_ns, before.st_mtime_ns))
    (code.parent / "fresh").rename(path)


def rules_changed(code: Path) -> None:
    (code / ".gitignore").write_text("data/\n*.txt\n")


def linked_elsewhere(code: Path) -> None:
    (code / "link.py").unlink()
    (code / "link.py").symlink_to("pkg/a.py")


def a_folder_in_place_of_what_was_ignored(code: Path) -> None:
    (code / "run.log").unlink()
    (code / "run.log").mkdir()


CHANGES: list[Callable[[Path], object]] = [
    same_size_and_mtime,
    replaced_by_a_copy,
    rules_changed,
    linked_elsewhere,
    a_folder_in_place_of_what_was_ignored,
    lambda code: (code / "main.py").write_text("print(1)  # more"),
    lambda code: (code / "main.py").chmod(0o755),
    lambda code: (code / "pkg" / "a.py").unlink(),
    lambda code: (code / "pkg" / "a.py").rename(code / "pkg" / "c.py"),
    lambda code: (code / "pkg" / "new.py").touch(),
    lambda code: (code / "empty").rmdir(),
    lambda code: (code / "empty2").mkdir(),
    lambda code: (code / "pkg" / ".rayignore").write_text("a.py"),
    lambda code: (code / "pkg").rename(code / "pkg2"),
    lambda code: (code / "circle").symlink_to("."),
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(index: StatIndex, code: Path, change: Callable[[Path], object]) -> None:
    packed(index, code)
    tick(code)
    change(code)
    assert known(index, code) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda code: (code / "data" / "more.bin").touch(),
        lambda code: (code / "run.log").write_text("more"),
        lambda code: (code / ".git" / "HEAD").write_text("other"),
    ],
)
def test_what_is_left_out_may_change(index: StatIndex, code: Path, change: Callable[[Path], object]) -> None:
    ref = packed(index, code)
    tick(code)
    change(code)
    assert known(index, code) == ref == packed(index, code)


def test_what_changed_a_moment_ago_is_not_believed(tmp_path: Path, code: Path) -> None:
    index = StatIndex(tmp_path / "cache")
    packed(index, code)
    assert known(index, code) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff", b'{"check": ""}'])
def test_a_damaged_index_is_no_index(index: StatIndex, code: Path, tmp_path: Path, damage: bytes) -> None:
    ref = packed(index, code)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(damage)
    assert known(index, code) is None
    assert packed(index, code) == ref
    assert known(index, code) == ref


def test_another_ref_in_the_index_is_not_believed(index: StatIndex, code: Path, tmp_path: Path) -> None:
    ref = packed(index, code)
    (file,) = (tmp_path / "cache").iterdir()
    digit = "0" if ref[7] != "0" else "1"
    file.write_text(file.read_text().replace(ref, f"sha256:{digit}{ref[8:]}"))
    assert known(index, code) is None


def test_an_index_that_cannot_be_written_hinders_nothing(tmp_path: Path, code: Path) -> None:
    (tmp_path / "cache").touch()
    index = StatIndex(tmp_path / "cache", later)
    packed(index, code)
    assert known(index, code) is None


def test_old_folders_are_forgotten(tmp_path: Path) -> None:
    index = StatIndex(tmp_path / "cache", later)
    for number in range(stat_index._KEPT + 5):  # noqa: SLF001 - how many are kept is nobody else's business
        folder = tmp_path / f"code{number}"
        folder.mkdir()
        packed(index, folder)
    assert len(list((tmp_path / "cache").iterdir())) == stat_index._KEPT  # noqa: SLF001 - as above
    assert known(index, folder) is not None


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dartjobs" / "packages"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dartjobs" / "packages"


def test_it_loads_nothing_slow() -> None:
    program = "import sys, dartjobs.client.stat_index; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert not {"pydantic", "httpx", "pathspec", "zipfile", "asyncio"} & set(loaded)
