"""Packing, over trees that Hypothesis makes up; git itself says what ignore files leave out."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from zipfile import ZipFile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dartjobs.client.packaging import DEFAULT_LIMIT, pack
from dartjobs.client.stat_index import RACY, StatIndex

NAMES = st.sampled_from(["a", "b", "ab", "c.py", "d.log", "build"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENTS = st.binary(max_size=40)
TREES = st.dictionaries(PATHS, CONTENTS, max_size=12)
PLAIN = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "*b", "a?", "*.py", "*.log", "build", "**"])
ODD = st.sampled_from(["**a", "a**b", "\\*", "\\a", ".", "[ab]", "[!a]", "[a-c]*", "[]a]", "[a", "{a,b}"])
PATTERNS = st.builds(
    lambda negated, rooted, segments, only_folders: negated + rooted + "/".join(segments) + only_folders,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(PLAIN | ODD, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
LINES = PATTERNS.filter(lambda line: "[a/" not in line) | st.sampled_from(
    ["", "# a", "\\#", "a ", "a\\ ", " a", "!", "/", "b\r"]
)
IGNORE_FILES = st.dictionaries(
    st.sampled_from(["", "a/", "b/", "a/b/", "build/"]), st.lists(LINES, max_size=5).map("\n".join), max_size=3
)


@contextmanager
def laid_out(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder that holds the files, in the order given. A path that another one needs as a folder is passed over."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "tree"
        root.mkdir()
        for path, content in files.items():
            place = root / path
            if not place.exists() and not any(folder.is_file() for folder in place.parents):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        yield root


def leaves(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without the files that lie where another one needs a folder."""
    return {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}


def ref_of(folder: Path) -> str:
    with pack(folder) as package:
        return package.ref


def packed_files(folder: Path) -> set[str]:
    with pack(folder) as package, ZipFile(package.path) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@settings(deadline=None)
@given(TREES, st.randoms(use_true_random=False), st.integers(0, 2**31))
def test_the_ref_depends_on_names_and_bytes_alone(files: dict[str, bytes], random: object, mtime: int) -> None:
    first = leaves(files)
    order = sorted(first, key=lambda _: random.random())  # type: ignore[attr-defined] # Hypothesis's Random has no public type
    with laid_out(first) as one, laid_out({path: first[path] for path in order}) as other:
        for path in first:
            os.utime(other / path, (mtime, mtime))
        with chdir(other):
            assert ref_of(Path()) == ref_of(one)


@settings(deadline=None)
@given(TREES.filter(bool), st.data())
def test_any_other_byte_or_name_gives_another_ref(files: dict[str, bytes], data: st.DataObject) -> None:
    first = leaves(files)
    path = data.draw(st.sampled_from(sorted(first)))
    content = data.draw(CONTENTS.filter(lambda content: content != first[path]))
    with laid_out(first) as folder:
        ref = ref_of(folder)
        (folder / path).write_bytes(content)
        assert ref_of(folder) != ref
        (folder / path).write_bytes(first[path])
        assert ref_of(folder) == ref
        (folder / path).rename(folder / "renamed")
        assert ref_of(folder) != ref


@settings(max_examples=150, deadline=None)
@given(TREES, IGNORE_FILES, st.sampled_from([".gitignore", ".rayignore"]))
@example({"data/a": b"", "data/keep": b""}, {"": "data/**\n!data/keep"}, ".gitignore")
@example({"a/b/c": b"", "a/b/d": b"", "a/e": b""}, {"": "*\n!*/\n!c"}, ".gitignore")
@example({"a/b": b"", "b": b""}, {"": "b", "a/": "!b"}, ".rayignore")
@example({"a/b": b""}, {"": "a/", "a/": "!b"}, ".rayignore")
def test_what_is_packed_is_what_git_leaves(files: dict[str, bytes], ignores: dict[str, str], kind: str) -> None:
    texts = {f"{base}{kind}": text.encode() for base, text in ignores.items()}
    with laid_out(texts | files) as folder:
        assert packed_files(folder) == git_files(folder, kind)


@settings(max_examples=60, deadline=None)
@given(TREES, IGNORE_FILES, TREES, IGNORE_FILES)
def test_what_is_known_is_what_would_be_packed(
    files: dict[str, bytes], ignores: dict[str, str], fresh: dict[str, bytes], rules: dict[str, str]
) -> None:
    first = {f"{base}.gitignore": text.encode() for base, text in ignores.items()} | files
    second = {f"{base}.rayignore": text.encode() for base, text in rules.items()} | fresh
    with laid_out(first) as folder:
        index = StatIndex(folder.parent / "cache", lambda: time.time_ns() + 2 * RACY)
        assert index.known(folder, limit=DEFAULT_LIMIT) is None
        with pack(folder, index=index) as package:
            found = index.known(folder, limit=DEFAULT_LIMIT)
            assert found is not None
            assert found.ref == package.ref
        let_the_clock_go_on(folder.parent / "scratch")
        for path, content in second.items():
            if (folder / path).parent.is_dir() and not (folder / path).is_dir():
                (folder / path).write_bytes(content)
        changed = index.known(folder, limit=DEFAULT_LIMIT)
        assert changed is None or changed.ref == ref_of(folder)


def let_the_clock_go_on(scratch: Path) -> None:
    """So that a change now has another time than one before."""
    scratch.touch()
    first = scratch.stat().st_ctime_ns
    while scratch.stat().st_ctime_ns == first:
        scratch.touch()


def git_files(folder: Path, kind: str) -> set[str]:
    """The files that git would add if `kind` were its ignore file."""
    home = folder.parent
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", f"--git-dir={home}/repository", f"--work-tree={folder}"]
    subprocess.run([*git, "init", "--quiet", "--template="], env=environment, check=True)
    found = subprocess.run(
        [*git, "ls-files", "--others", f"--exclude-per-directory={kind}", "-z"],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return {name for name in found.stdout.decode().split("\0") if name}
