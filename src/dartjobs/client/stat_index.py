"""Whether a folder is as it was when it was packed, told by what the file system says of its files: nothing is read.

Like git's index it believes in size, times, inode and mode of each file (https://git-scm.com/docs/racy-git), and it
takes no file for known that changed so shortly before it was packed that a later change could look the same. Rules
that leave files out are not applied again: they gave the same before as long as ignore files and names are the same.

Only the standard library, and nothing slow of it: a submission of unchanged code waits for this.
"""

import json
import os
import stat
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from dartjobs.client.ignores import IGNORE_FILES
from dartjobs.client.tree import ALWAYS_IGNORED, MOST_ENTRIES, is_folder

RACY = 2 * 10**9
"""Nanoseconds: the coarsest clock of a file system that we know (FAT). What changed so recently may change unseen."""
_FORMAT = 1
"""Raise it when the same files would be packed in another way."""
_KEPT = 200
"""Folders that are remembered."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a folder was packed into, and would be again."""

    ref: str
    size: int
    """Bytes of the zip."""
    warnings: list[str]


class Seen(NamedTuple):
    """One look at a folder."""

    digest: str
    newest: int
    """Nanoseconds: when anything in it last changed, as its file system says."""


class StatIndex:
    """What is remembered of folders, a small file for each in `place`. Processes may share it."""

    def __init__(self, place: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock` answers nanoseconds since 1970, as the clock of the file system does."""
        self._place = place
        self._clock = clock

    def known(self, folder: Path, *, limit: int) -> Known | None:
        """What the folder is packed into; None where that is not known for certain, or has more than `limit` bytes."""
        root = os.path.realpath(folder)
        try:
            entry = json.loads(self._path(root).read_bytes())
            if entry["check"] != _check(entry) or entry["size"] > limit:
                return None
            seen = look(root, frozenset(entry["ignored"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if seen is None or seen.digest != entry["digest"]:
            return None
        return Known(entry["ref"], entry["size"], entry["warnings"])

    def before(self, root: str, ignored: list[str]) -> Seen | None:
        """How a folder looks before it is packed, where it may be remembered at all.

        Args:
            root: the folder, links followed.
            ignored: the paths in it that rules left out.
        """
        now = self._clock()
        try:
            seen = look(root, frozenset(ignored))
        except OSError:
            return None
        return seen if seen is not None and seen.newest < now - RACY else None

    def remember(self, root: str, ignored: list[str], before: Seen | None, known: Known) -> None:
        """Remember what the folder was packed into, where it is certain that it did not change meanwhile."""
        if before is None:
            return
        entry: dict[str, Any] = {"digest": before.digest, "ignored": ignored}
        entry |= {"ref": known.ref, "size": known.size, "warnings": known.warnings}
        with suppress(OSError):  # it is only quicker with it
            if look(root, frozenset(ignored)) == before:
                self._write(self._path(root), json.dumps(entry | {"check": _check(entry)}))

    def _path(self, root: str) -> Path:
        return self._place / f"{sha256(os.fsencode(root)).hexdigest()[:32]}.json"

    def _write(self, path: Path, text: str) -> None:
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            fresh.write_text(text)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        others = sorted(self._place.iterdir(), key=lambda one: one.stat().st_mtime_ns)
        for one in others[:-_KEPT]:
            one.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where the user's programs keep what they can do without (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "dartjobs" / "packages"


def look(root: str, ignored: Container[str]) -> Seen | None:
    """Look at all that is packed of a folder, and at all names beside it; None where it holds too much.

    Raises:
        OSError: some of it cannot be looked at.
    """
    digest, pending, entries = sha256(b"%d" % _FORMAT), [""], 0
    newest = _newest(os.stat(root))  # noqa: PTH116 - quicker, and it is on the way of every submission
    while pending:
        base = pending.pop()
        with os.scandir(os.path.join(root, base)) as found:  # noqa: PTH118 - as above
            listed = sorted(found, key=lambda entry: entry.name)
        for entry in listed:
            if entry.name in ALWAYS_IGNORED:
                continue
            name = base + entry.name
            if name in ignored and entry.name not in IGNORE_FILES:
                facts: tuple[Any, ...] = (is_folder(entry),)
            else:
                facts, changed, folder = _facts(entry)
                newest = max(newest, changed)
                pending += [f"{name}/"] if folder else []
            digest.update(repr((name, *facts)).encode(errors="surrogatepass"))
        entries += len(listed)
        if entries > 2 * MOST_ENTRIES:  # a circle of links, or a folder that cannot be packed
            return None
    return Seen(digest.hexdigest(), newest)


def _facts(entry: "os.DirEntry[str]") -> tuple[tuple[Any, ...], int, bool]:
    """What is compared of an entry, when it changed, and whether it is a folder, whose times are its files'."""
    link = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115 - as above
    try:
        status = entry.stat()
    except FileNotFoundError:
        return (link,), 0, False
    if stat.S_ISDIR(status.st_mode):
        return (link, status.st_mode), _newest(status), True
    times = status.st_mtime_ns, status.st_ctime_ns
    return (link, status.st_mode, status.st_size, *times, status.st_ino), max(times), False


def _newest(status: os.stat_result) -> int:
    return max(status.st_mtime_ns, status.st_ctime_ns)


def _check(entry: dict[str, Any]) -> str:
    """Guards against a file that was damaged."""
    return sha256(
        json.dumps([entry[name] for name in ("digest", "ref", "size", "ignored", "warnings")]).encode()
    ).hexdigest()
