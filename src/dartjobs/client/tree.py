"""What of a folder is packed: the files that nothing leaves out, and why that cannot be where it cannot."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dartjobs.client.ignores import IGNORE_FILES, IgnoreFile, ignored, parse
from dartjobs.models.problem import InvalidRequestError

MOST_ENTRIES = 100_000
"""The server takes no package that has more."""
ALWAYS_IGNORED = frozenset({".git", ".venv", "venv", "__pycache__"})
"""Ray's own default (`RAY_RUNTIME_ENV_DEFAULT_EXCLUDES` in ray/_private/ray_constants.py)."""
OR_IGNORE = ", or name it in .rayignore"

_NAMED = 10


class PackagingError(InvalidRequestError):
    """The folder cannot be packed."""

    code = "packaging"


@dataclass(frozen=True, slots=True)
class File:
    """A file, or an empty folder, to be packed."""

    name: str
    """Relative to the packed folder, with forward slashes; that of an empty folder ends with one."""
    path: str
    size: int = 0
    executable: bool = False


@dataclass(slots=True)
class Tree:
    """What is to be packed, in the order of the names, and what was left out with a warning."""

    root: str
    files: list[File] = field(default_factory=list)
    empty: list[File] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """Paths that an ignore file leaves out; what lies below them was not looked at."""
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def warn(self, name: str, what: str) -> None:
        """Note what is left out though nothing ignores it."""
        self.warnings.append(f"{printable(name)}: {what}")

    def refuse(self, name: str, why: str) -> None:
        """Note what stands in the way of packing."""
        self.problems.append(f"{printable(name)}: {why}{OR_IGNORE}")


def scan(folder: Path, *, most_entries: int = MOST_ENTRIES) -> Tree:
    """Walk the folder; no ignored folder is entered and nothing but ignore files is opened.

    Raises:
        PackagingError: it is no folder, holds too many files, or some cannot be packed: the first ten are named.
    """
    _check_folder(folder)
    root = os.path.realpath(folder)
    tree = Tree(root)
    pending, folders = [_Folder("", (root,))], 0
    while pending:
        pending.extend(_scan_folder(tree, pending.pop()))
        folders += 1
        if folders + len(tree.files) > most_entries:
            msg = f"{printable(root)} holds more than {most_entries:,} files. Name needless ones in .rayignore."
            raise PackagingError(msg)
    if tree.problems:
        raise PackagingError(_listed(f"{printable(root)} cannot be packed:", sorted(tree.problems)))
    tree.files.sort(key=lambda file: file.name)
    tree.warnings.sort()
    return tree


def _check_folder(folder: Path) -> None:
    try:
        why = "" if stat.S_ISDIR(folder.stat().st_mode) else "not a folder"
    except OSError as error:
        why = reason(error)
    if why:
        msg = f"{printable(str(folder))} cannot be packed: {why}. Name the folder that holds the code of the job."
        raise PackagingError(msg)


def printable(name: str) -> str:
    """The name with the bytes that are no UTF-8 escaped."""
    return name.encode(errors="backslashreplace").decode()


def reason(error: OSError) -> str:
    """What the operating system says, for use within a sentence."""
    return (error.strerror or type(error).__name__).lower()


def unreadable(error: OSError) -> str:
    """Why a file cannot be packed and what to do, up to the advice to ignore it."""
    if isinstance(error, FileNotFoundError):
        return "it vanished while the folder was packed; wait until nothing changes it"
    advice = "run `chmod u+rX` on it" if isinstance(error, PermissionError) else "make it readable"
    return f"it cannot be read ({reason(error)}); {advice}"


@dataclass(frozen=True, slots=True)
class _Folder:
    name: str
    """Empty, or with a slash at its end."""
    places: tuple[str, ...]
    """Where it and the folders that hold it are, links followed: the outermost first, itself last."""
    ignores: tuple[IgnoreFile, ...] = ()


def _scan_folder(tree: Tree, folder: _Folder) -> Iterator[_Folder]:
    """Add what lies in the folder, but for the folders in it: those are answered."""
    try:
        with os.scandir(folder.places[-1]) as found:
            entries = list(found)
    except OSError as error:
        tree.refuse(folder.name.rstrip("/") or ".", unreadable(error))
        return
    if not entries and folder.name:
        tree.empty.append(File(folder.name, folder.places[-1]))
    ignores = (*folder.ignores, *_ignore_files(tree, folder.name, entries))
    for entry in entries:
        name = folder.name + entry.name
        if entry.name in ALWAYS_IGNORED:
            continue
        if ignored(name, ignores, is_folder=is_folder(entry)):
            tree.ignored.append(name)
            continue
        try:
            place = _scan_entry(tree, name, entry, folder)
        except OSError as error:
            _report(tree, name, entry, error)
            continue
        if place is not None:
            yield _Folder(f"{name}/", (*folder.places, place), ignores)


def _scan_entry(tree: Tree, name: str, entry: os.DirEntry[str], folder: _Folder) -> str | None:
    """Add the entry, or answer where it is if it is a folder to be entered.

    Raises:
        OSError: it cannot be looked at.
    """
    status = entry.stat()
    place = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
    if problem := _name_problem(entry.name):
        tree.refuse(name, f"{problem}; rename it")
    elif not f"{place}{os.sep}".startswith(f"{tree.root.rstrip(os.sep)}{os.sep}"):
        tree.refuse(name, f"this link leads out of the folder, to {printable(place)}; put a copy of that in its place")
    elif place in folder.places:
        tree.refuse(name, "this link leads back to a folder that holds it; remove it")
    elif stat.S_ISDIR(status.st_mode):
        return place
    elif not stat.S_ISREG(status.st_mode):
        tree.warn(name, "left out, because it is a socket, a pipe or a device")
    elif not os.access(entry.path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        tree.refuse(name, unreadable(PermissionError(0, "permission denied")))
    else:
        tree.files.append(File(name, entry.path, status.st_size, bool(status.st_mode & stat.S_IXUSR)))
    return None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _name_problem(name: str) -> str | None:
    """Why Ray's unpacker would not bring back a file of that name: it passes over such names without a word."""
    if printable(name) != name:
        return "its name is not UTF-8, which a zip cannot hold"
    if "\\" in name or name[1:2] == ":":
        return "Ray does not unpack a name that has a backslash or begins like a drive"
    return None


def _report(tree: Tree, name: str, entry: os.DirEntry[str], error: OSError) -> None:
    if isinstance(error, PermissionError):
        tree.refuse(name, unreadable(error))
    elif not entry.is_symlink():
        if not isinstance(error, FileNotFoundError):  # one that has just been removed is no part of the folder
            tree.refuse(name, unreadable(error))
    elif isinstance(error, FileNotFoundError):
        tree.warn(name, "left out, because it is a link to what does not exist")
    else:
        tree.refuse(name, f"this link cannot be followed ({reason(error)}); remove it")


def _ignore_files(tree: Tree, base: str, entries: Iterable[os.DirEntry[str]]) -> Iterator[IgnoreFile]:
    for entry in entries:
        if entry.name not in IGNORE_FILES:
            continue
        try:
            if not entry.is_file():
                continue
            text = Path(entry.path).read_text(encoding="utf-8-sig", errors="surrogateescape")
        except OSError:
            continue  # it is refused as any other file that cannot be read
        rules, invalid = parse(entry.name, base, text)
        for line in invalid:
            tree.warn(base + entry.name, f"the line {printable(line)!r} is not understood and leaves nothing out")
        yield rules


def _listed(heading: str, problems: list[str]) -> str:
    more = len(problems) - _NAMED
    lines = [heading, *problems[:_NAMED], *([f"and {more} more"] if more > 0 else [])]
    return "\n- ".join(lines)
