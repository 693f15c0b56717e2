"""Packing a folder of code into a zip, so that the same tree gives the same bytes.

They are the same at any time and place where zlib compresses alike: names are sorted, times fixed, modes 0644 or 0755.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from dartjobs.client.stat_index import Known, StatIndex
from dartjobs.client.tree import OR_IGNORE, File, PackagingError, Tree, printable, reason, scan, unreadable

__all__ = ["DEFAULT_LIMIT", "Package", "PackagingError", "pack", "write_zip"]

DEFAULT_LIMIT = 100 * 2**20
"""Bytes. Ray's dashboard takes no larger package (`DASHBOARD_CLIENT_MAX_SIZE` in ray/_private/ray_constants.py)."""
MOST_EXPANSION = 10
"""How many times the limit the files may have in all: the server takes no zip that unpacks to more."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
_UNIX = 3
_MSDOS_DIRECTORY = 0x10
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Package:
    """A packed folder. As a context manager it closes itself."""

    ref: str
    path: Path
    size: int
    """Bytes of the zip."""
    files: int
    warnings: list[str]
    temporary: bool = True

    def close(self) -> None:
        """Remove the zip, unless the caller chose its place."""
        if self.temporary:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Leave it open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def pack(
    folder: Path, *, limit: int = DEFAULT_LIMIT, destination: Path | None = None, index: StatIndex | None = None
) -> Package:
    """Pack `folder` into a zip of at most `limit` bytes, in a temporary file or at `destination`.

    Left out are what `.gitignore` and `.rayignore` files name, what Ray leaves out by default and, with a warning,
    sockets, pipes, devices and dangling links. Links are followed within the folder: Ray's unpacker keeps none.
    What came of it is remembered in `index`, if one is given.

    Raises:
        PackagingError: no folder, unreadable or changing files, links that lead out or in circles, or too much in it.
            It names up to ten paths, relative to the folder, and what to do.
    """
    tree = scan(folder)
    before = None if index is None else index.before(tree.root, tree.ignored)
    total = sum(file.size for file in tree.files)
    if total > limit * MOST_EXPANSION:
        raise _too_large(tree, limit)
    try:
        path = destination or _temporary()
        try:
            ref, size = write_zip(tree, path, limit)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"The package cannot be written ({reason(error)}); make room, or set TMPDIR to a folder that has it."
        raise PackagingError(msg) from error
    if index is not None:
        index.remember(tree.root, tree.ignored, before, Known(ref, size, tree.warnings))
    return Package(ref, path, size, len(tree.files), tree.warnings, temporary=destination is None)


def write_zip(tree: Tree, path: Path, limit: int) -> tuple[str, int]:
    """Write the zip to `path`; answer its reference and its size in bytes.

    Raises:
        PackagingError: the tree has changed since it was scanned, or the zip would have more than `limit` bytes.
        OSError: `path` cannot be written.
    """
    with path.open("w+b") as target:
        with ZipFile(target, "w") as archive:
            for file in sorted([*tree.files, *tree.empty], key=lambda file: file.name):
                with archive.open(_info(file), "w") as packed:
                    for piece in _pieces(file):
                        packed.write(piece)
                        _check_size(target.tell(), tree, limit)
        size = target.seek(0, os.SEEK_END)
        _check_size(size, tree, limit)
        target.seek(0)
        return f"sha256:{hashlib.file_digest(target, 'sha256').hexdigest()}", size


def _temporary() -> Path:
    handle, name = tempfile.mkstemp(prefix="dartjobs-", suffix=".zip")
    os.close(handle)
    return Path(name)


def _info(file: File) -> ZipInfo:
    info = ZipInfo(file.name, _EARLIEST)
    info.create_system = _UNIX
    if file.name.endswith("/"):
        info.external_attr = (stat.S_IFDIR | 0o755) << 16 | _MSDOS_DIRECTORY
    else:
        info.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
        info.compress_type = ZIP_DEFLATED
        info.file_size = file.size  # zipfile uses ZIP64 where it does not know better
    return info


def _pieces(file: File) -> Iterator[bytes]:
    if file.name.endswith("/"):
        return
    read = 0
    try:
        with open(file.path, "rb", buffering=0, opener=_without_blocking) as source:
            before = os.fstat(source.fileno())
            while read <= file.size and (piece := source.read(_PIECE)):
                read += len(piece)
                yield piece
            after = os.fstat(source.fileno())
    except OSError as error:
        msg = f"{printable(file.name)}: {unreadable(error)}{OR_IGNORE}"
        raise PackagingError(msg) from error
    if read != file.size or before.st_mtime_ns != after.st_mtime_ns:
        msg = f"{printable(file.name)}: it changed while it was packed; wait until nothing writes to it{OR_IGNORE}"
        raise PackagingError(msg)


def _without_blocking(path: str, flags: int) -> int:
    """Open it so that a pipe, put in a file's place since it was looked at, does not make us wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_size(size: int, tree: Tree, limit: int) -> None:
    if size > limit:
        raise _too_large(tree, limit)


def _too_large(tree: Tree, limit: int) -> PackagingError:
    total = sum(file.size for file in tree.files)
    largest = sorted(tree.files, key=lambda file: -file.size)[:5]
    heading = (
        f"{printable(tree.root)} holds {_shown(total)} in {len(tree.files):,} files, too much for a package: its limit "
        f"is {_shown(limit)} packed and {_shown(limit * MOST_EXPANSION)} unpacked. Name what the job does not need in "
        ".rayignore, and read data from a shared store. The largest files:"
    )
    return PackagingError("\n- ".join([heading, *(f"{file.name}: {_shown(file.size)}" for file in largest)]))


def _shown(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size:,} bytes"
