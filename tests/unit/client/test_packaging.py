"""Packing a folder."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from dartjobs.client.packaging import PackagingError, pack, write_zip
from dartjobs.client.tree import scan

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter: pytest's own are closed to all but the one who runs it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        yield root


@contextmanager
def as_somebody_who_may_not_read_everything() -> Iterator[None]:
    """Root reads what nobody may."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


def lay_out(folder: Path, **files: str) -> None:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


def names(folder: Path) -> list[str]:
    with pack(folder) as package, ZipFile(package.path) as archive:
        return archive.namelist()


def refusal(folder: Path, *, limit: int = 10_000) -> str:
    with pytest.raises(PackagingError) as caught:
        pack(folder, limit=limit)
    return str(caught.value)


def test_a_package_says_what_it_holds(folder: Path) -> None:
    lay_out(folder, **{"main.py": "print()", "lib/util.py": ""})
    with pack(folder) as package:
        assert package.ref.startswith("sha256:")
        assert package.size == package.path.stat().st_size
        assert package.files == 2
        assert package.warnings == []
    assert not package.path.exists()


def test_what_differs_between_machines_is_not_packed(folder: Path) -> None:
    lay_out(folder, **{"run.sh": "#!/bin/sh", "b/ü.py": "1", "a.py": "2"})
    (folder / "run.sh").chmod(0o750)
    (folder / "a.py").chmod(0o600)
    (folder / "empty").mkdir(mode=0o700)
    with pack(folder) as package, ZipFile(package.path) as archive:
        entries = archive.infolist()
        assert archive.testzip() is None
    assert [entry.filename for entry in entries] == ["a.py", "b/ü.py", "empty/", "run.sh"]
    assert [stat.filemode(entry.external_attr >> 16) for entry in entries] == [
        "-rw-r--r--",
        "-rw-r--r--",
        "drwxr-xr-x",
        "-rwxr-xr-x",
    ]
    assert {(entry.date_time, entry.create_system, entry.extra) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 3, b"")
    }
    assert {entry.compress_type for entry in entries if not entry.is_dir()} == {ZIP_DEFLATED}


def test_an_empty_folder_is_a_package(folder: Path) -> None:
    assert names(folder) == []


def test_empty_folders_stay_but_not_those_emptied_by_ignoring(folder: Path) -> None:
    lay_out(folder, **{".gitignore": "*.log", "logs/a.log": "x", ".pytest_cache/.gitignore": "*"})
    (folder / "output").mkdir()
    assert names(folder) == [".gitignore", "output/"]


def test_what_ray_leaves_out_is_left_out_at_every_level(folder: Path) -> None:
    lay_out(folder, **{".git/config": "", "a/.venv/x": "", "a/venv/x": "", "a/__pycache__/x.pyc": "", "a/b.py": ""})
    lay_out(folder, **{".gitignore": "!venv"})
    assert names(folder) == [".gitignore", "a/b.py"]


def test_each_kind_of_ignore_file_stands_on_its_own(folder: Path) -> None:
    lay_out(folder, **{".gitignore": "*.csv\n", ".rayignore": "!a.csv\n*.bin\n", "a.csv": "", "b.bin": "", "c.py": ""})
    assert names(folder) == [".gitignore", ".rayignore", "c.py"]


def test_an_ignored_folder_is_not_entered(folder: Path) -> None:
    lay_out(folder, **{".rayignore": "data/", "data/x": ""})
    (folder / "data").chmod(0)
    with as_somebody_who_may_not_read_everything():
        assert names(folder) == [".rayignore"]


def test_a_line_that_is_not_understood_is_named(folder: Path) -> None:
    lay_out(folder, **{"a/.gitignore": "x[[:digit:]]\n"})
    with pack(folder) as package:
        assert len(package.warnings) == 1
        assert package.warnings[0].startswith("a/.gitignore: the line 'x[[:digit:]]' is not understood")


def test_links_within_the_folder_are_followed(folder: Path) -> None:
    lay_out(folder, **{"lib/a.py": "print(1)"})
    (folder / "b.py").symlink_to("lib/a.py")
    (folder / "again").symlink_to(folder / "lib")
    with pack(folder) as package, ZipFile(package.path) as archive:
        assert archive.namelist() == ["again/a.py", "b.py", "lib/a.py"]
        assert archive.read("b.py") == archive.read("again/a.py") == b"print(1)"


def test_a_link_out_of_the_folder_is_refused_with_advice(folder: Path) -> None:
    lay_out(folder, **{"a/x.py": ""})
    (folder / "a" / "data").symlink_to("/usr")
    assert (
        "a/data: this link leads out of the folder, to /usr; put a copy of that in its place, or name it in .rayignore"
        in (refusal(folder))
    )
    lay_out(folder, **{".rayignore": "data/"})
    assert names(folder) == [".rayignore", "a/x.py"]


def test_a_link_to_a_folder_whose_name_begins_alike_leads_out(folder: Path) -> None:
    inside = folder / "code"
    lay_out(folder, **{"code/x.py": "", "code-2/y.py": ""})
    (inside / "more").symlink_to("../code-2")
    assert "more: this link leads out" in refusal(inside)


@pytest.mark.parametrize("target", [".", "..", "../a", "../b"])
def test_links_in_a_circle_are_refused_by_name(folder: Path, target: str) -> None:
    lay_out(folder, **{"a/x.py": "", "b/y.py": ""})
    (folder / "a" / "link").symlink_to(target)
    (folder / "b" / "back").symlink_to("../a")
    assert "link: this link leads back to a folder that holds it; remove it" in refusal(folder)


@pytest.mark.parametrize("name", ["self", ".gitignore"])
def test_a_link_to_itself_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).symlink_to(name)
    assert f"{name}: this link cannot be followed (too many levels of symbolic links)" in refusal(folder)


def test_links_that_multiply_end_at_the_limit_of_files(folder: Path) -> None:
    lay_out(folder, **{"0/x": ""})
    for level in range(1, 40):
        (folder / str(level)).mkdir()
        (folder / str(level) / "l").symlink_to(f"../{level - 1}")
        (folder / str(level) / "r").symlink_to(f"../{level - 1}")
    with pytest.raises(PackagingError, match="holds more than 1,000 files"):
        scan(folder, most_entries=1_000)


def test_what_is_no_file_is_left_out_with_a_warning(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / ".#main.py").symlink_to("user@host.1234")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        with pack(folder) as package:
            assert package.files == 0
            assert package.warnings == [
                ".#main.py: left out, because it is a link to what does not exist",
                "pipe: left out, because it is a socket, a pipe or a device",
                "socket: left out, because it is a socket, a pipe or a device",
            ]


def test_unreadable_files_are_all_named_up_to_ten(folder: Path) -> None:
    for number in range(11):
        lay_out(folder, **{f"secret-{number:02d}.pem": "x"})
        (folder / f"secret-{number:02d}.pem").chmod(0)
    (folder / "closed").mkdir(mode=0)
    with as_somebody_who_may_not_read_everything():
        message = refusal(folder)
    assert message.splitlines()[0] == f"{folder} cannot be packed:"
    assert "closed: it cannot be read (permission denied); run `chmod u+rX` on it, or name it in .rayignore" in message
    assert "secret-08.pem: it cannot be read" in message
    assert "secret-09.pem" not in message
    assert message.endswith("and 2 more")


def test_an_unreadable_ignore_file_is_named(folder: Path) -> None:
    lay_out(folder, **{".gitignore": "*.log"})
    (folder / ".gitignore").chmod(0)
    with as_somebody_who_may_not_read_everything():
        assert ".gitignore: it cannot be read" in refusal(folder)


@pytest.mark.parametrize("name", [b"a\\b.py", b"c:x.py", b"\xff.py"])
def test_names_that_would_not_arrive_are_refused(folder: Path, name: bytes) -> None:
    Path(os.fsdecode(bytes(folder) + b"/" + name)).touch()
    message = refusal(folder)
    message.encode()
    assert "rename it, or name it in .rayignore" in message


def grow(file: Path) -> None:
    file.write_text("more than before")


def vanish(file: Path) -> None:
    file.unlink()


def become_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (grow, "it changed while it was packed"),
        (vanish, "it vanished while the folder was packed"),
        (become_a_pipe, "it changed while it was packed"),
    ],
)
def test_a_file_that_changes_meanwhile_is_named(folder: Path, tmp_path: Path, change: object, said: str) -> None:
    lay_out(folder, **{"a.log": "before", "b.py": ""})
    tree = scan(folder)
    assert callable(change)
    change(folder / "a.log")
    with pytest.raises(PackagingError, match=f"a.log: {said}; wait .*, or name it in .rayignore"):
        write_zip(tree, tmp_path / "package.zip", limit=10_000)


def test_a_package_over_the_limit_names_the_largest_files(folder: Path) -> None:
    for number in range(1, 8):
        (folder / f"{number}.bin").write_bytes(os.urandom(number * 1_000))
    message = refusal(folder, limit=20_000)
    assert "holds 28,000 bytes in 7 files" in message
    assert "its limit is 20,000 bytes packed" in message
    assert ".rayignore" in message
    assert message.splitlines()[1:] == [f"- {number}.bin: {number},000 bytes" for number in (7, 6, 5, 4, 3)]


def test_what_compresses_below_the_limit_is_packed(folder: Path) -> None:
    lay_out(folder, **{"table.csv": "1,2,3\n" * 10_000})
    with pack(folder, limit=20_000) as package:
        assert package.size < 1_000


def test_names_alone_can_be_over_the_limit(folder: Path) -> None:
    for number in range(50):
        (folder / f"{'n' * 100}{number}").touch()
    assert "too much for a package" in refusal(folder, limit=2_000)


def test_far_too_much_is_refused_before_anything_is_read(folder: Path) -> None:
    with (folder / "sparse.bin").open("wb") as sparse:
        sparse.truncate(2**40)
    assert "sparse.bin: 1,048,576.0 MiB" in refusal(folder)


def test_packing_stops_once_the_limit_is_passed(folder: Path, tmp_path: Path) -> None:
    (folder / "large.bin").write_bytes(os.urandom(8 * 2**20))
    target = tmp_path / "package.zip"
    with pytest.raises(PackagingError):
        write_zip(scan(folder), target, limit=2**20)
    assert target.stat().st_size < 4 * 2**20


@pytest.mark.parametrize(("name", "why"), [("missing", "no such file or directory"), ("file", "not a folder")])
def test_only_a_folder_can_be_packed(folder: Path, name: str, why: str) -> None:
    lay_out(folder, file="")
    assert refusal(folder / name) == (
        f"{folder / name} cannot be packed: {why}. Name the folder that holds the code of the job."
    )


def test_a_failure_leaves_no_temporary_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (folder / "large.bin").write_bytes(os.urandom(20_000))
    refusal(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_is_missing_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    assert "cannot be written (no such file or directory); make room, or set TMPDIR" in refusal(folder)


def test_a_chosen_destination_stays(folder: Path, tmp_path: Path) -> None:
    destination = tmp_path / "package.zip"
    lay_out(folder, **{"a.py": ""})
    with pack(folder, destination=destination) as package:
        assert package.path == destination
    assert destination.exists()
    with pack(folder) as again:
        assert again.ref == package.ref


def test_ray_unpacks_it_as_it_was(folder: Path, tmp_path: Path) -> None:
    from ray._private.runtime_env.packaging import unzip_package  # noqa: PLC0415 - half a second that one test needs

    lay_out(folder, **{"run.sh": "#!/bin/sh", "b/ü.py": "1"})
    (folder / "run.sh").chmod(0o755)
    (folder / "empty").mkdir()
    target = tmp_path / "unpacked"
    with pack(folder, destination=tmp_path / "package.zip") as package:
        unzip_package(str(package.path), str(target), remove_top_level_directory=False, unlink_zip=False)
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == ["b", "b/ü.py", "empty", "run.sh"]
    assert (target / "b" / "ü.py").read_text() == "1"
    assert os.access(target / "run.sh", os.X_OK)
