"""Whether a zip may be handed on to be unpacked, told from its central directory alone: nothing is ever extracted.

The layout is that of PKWARE's APPNOTE 6.3, sections 4.3.12 to 4.3.16; the directory is found as Python's `zipfile`,
which Ray unpacks with, finds it. What a lenient reader could understand in another way is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from dartjobs.models.problem import InvalidRequestError

MOST_ENTRIES = 100_000
MOST_EXPANSION = 10
"""How many times the limit of a package's size its files may have in all."""

_END = Struct("<4s4H2LH")
_END64_LOCATOR = Struct("<4sLQL")
_END64 = Struct("<4sQ2H2L4Q")
_ENTRY = Struct("<4s6H3L5H2L")
_EXTRA = Struct("<2H")
TAIL = 0xFFFF + _END.size + _END64_LOCATOR.size + _END64.size
"""Bytes at the end of a zip that surely hold all that `find_directory` looks for."""

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800
_ZIP64 = 0xFFFF_FFFF
_UNICODE_PATH = 0x7075


class BadZipError(InvalidRequestError):
    """The package is not a zip that can be unpacked safely."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The package is not a zip that can be unpacked safely: {why}.")


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies, in bytes from the start of the file."""

    start: int
    size: int


def find_directory(tail: bytes, size: int) -> Directory:
    """Where the central directory of a zip of `size` bytes is, by its last `TAIL` bytes (or all).

    Raises:
        BadZipError: there is none.
    """
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        why = "its end is missing, so it is cut off or no zip at all; pack the folder again"
        raise BadZipError(why)
    *_, directory, _offset, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        why = "something follows its end; pack the folder again"
        raise BadZipError(why)
    end = at
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and tail.startswith(b"PK\6\7", locator):
        end = locator - _END64.size
        if end < 0 or not tail.startswith(b"PK\6\6", end):
            why = "its ZIP64 end is damaged; pack the folder again"
            raise BadZipError(why)
        directory = _END64.unpack_from(tail, end)[8]
    start = size - len(tail) + end - directory
    if start < 0:
        why = "its directory is larger than the file; pack the folder again"
        raise BadZipError(why)
    return Directory(start, directory)


class DirectoryCheck:
    """Reads a central directory piece by piece, in bounded memory."""

    def __init__(self, limit: int) -> None:
        self.entries = 0
        self.total = 0
        """Bytes of all files, once unpacked. An unpacker stops at what the directory declares."""
        self._most = limit * MOST_EXPANSION
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            BadZipError: an entry, or the sum of all, is not acceptable.
        """
        data = self._rest + chunk
        at = 0
        while (length := _entry_length(data, at)) is not None and at + length <= len(data):
            self._entry(data[at : at + length])
            at += length
        self._rest = data[at:]

    def finish(self) -> None:
        """Say that there is no more.

        Raises:
            BadZipError: it ends within an entry.
        """
        if self._rest:
            raise BadZipError(_DAMAGED)

    def _entry(self, entry: bytes) -> None:
        _, _, _, flags, method, _, _, _, _, size, named, extra, *_ = _ENTRY.unpack_from(entry)
        names_end = _ENTRY.size + named
        raw = entry[_ENTRY.size : names_end]
        name = _decoded(raw, "utf-8" if flags & _UTF8 else "cp437")
        for one in (name, *_unicode_paths(entry[names_end : names_end + extra])):
            _check_name(one)
        if flags & _ENCRYPTED:
            why = f"{name!r} is encrypted; pack it without a password"
            raise BadZipError(why)
        if method not in {_STORED, _DEFLATED}:
            why = f"{name!r} is compressed in a way that not every Python unpacks; use deflate"
            raise BadZipError(why)
        self.entries += 1
        self.total += size
        if self.entries > MOST_ENTRIES:
            why = f"it has more than {MOST_ENTRIES:,} files; leave out what the job does not need with .rayignore"
            raise BadZipError(why)
        if size == _ZIP64 or self.total > self._most:
            why = f"its files have more than {self._most:,} bytes once unpacked; leave out large ones with .rayignore"
            raise BadZipError(why)


_DAMAGED = "its directory is damaged; pack the folder again"


def _entry_length(data: bytes, at: int) -> int | None:
    if len(data) - at < _ENTRY.size:
        return None
    signature, *_, named, extra, comment, _disk, _internal, _external, _offset = _ENTRY.unpack_from(data, at)
    if signature != b"PK\1\2":
        raise BadZipError(_DAMAGED)
    return _ENTRY.size + int(named) + int(extra) + int(comment)


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        why = f"the name {raw!r} is not UTF-8; rename it"
        raise BadZipError(why) from None


def _unicode_paths(extra: bytes) -> Iterator[str]:
    """Names that newer unpackers take instead: Info-ZIP's Unicode Path, a version byte and a CRC before the name."""
    at = 0
    while at + _EXTRA.size <= len(extra):
        tag, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if tag == _UNICODE_PATH:
            yield _decoded(extra[at + 5 : at + length], "utf-8")
        at += length


def _check_name(name: str) -> None:
    """Refuse what leads out of the folder, and what Ray's unpacker passes over without a word."""
    if not name or "\0" in name:
        why = f"{name!r} is no name of a file; rename it"
    elif name.startswith("/") or "\\" in name or name[1:2] == ":":
        why = f"{name!r} is no relative path with forward slashes; pack with paths relative to the folder"
    elif ".." in name.split("/"):
        why = f"{name!r} leads out of the folder; pack with paths relative to the folder"
    else:
        return
    raise BadZipError(why)
