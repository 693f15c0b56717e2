"""Judging a zip by its central directory."""

import io
import stat
from struct import pack
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartjobs.blobs.zips import MOST_ENTRIES, TAIL, BadZipError, DirectoryCheck, find_directory

LIMIT = 10_000


def zipped(*entries: ZipInfo | str, comment: bytes = b"", content: bytes = b"x") -> bytes:
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        archive.comment = comment
        for entry in entries:
            archive.writestr(entry, content)
    return target.getvalue()


def check(data: bytes, *, limit: int = LIMIT, piece: int = 1_000) -> DirectoryCheck:
    directory = find_directory(data[-TAIL:], len(data))
    found = DirectoryCheck(limit)
    end = directory.start + directory.size
    for start in range(directory.start, end, piece):
        found.feed(data[start : min(end, start + piece)])
    found.finish()
    return found


def refusal(data: bytes, *, limit: int = LIMIT) -> str:
    with pytest.raises(BadZipError) as caught:
        check(data, limit=limit)
    return str(caught.value)


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"PK" * 30_000])
@pytest.mark.parametrize("prefix", [b"", b"#!/usr/bin/env python\n"])
def test_a_zip_is_found_wherever_zipfile_finds_it(comment: bytes, prefix: bytes) -> None:
    data = prefix + zipped("a.py", "lib/ü.py", "empty/", comment=comment)
    found = check(data)
    with ZipFile(io.BytesIO(data)) as archive:
        assert found.entries == len(archive.infolist()) == 3
        assert found.total == sum(info.file_size for info in archive.infolist())


@given(st.integers(1, 200), st.integers(0, 20))
def test_pieces_may_be_of_any_size(piece: int, count: int) -> None:
    data = zipped(*(f"folder/{number}" for number in range(count)))
    assert check(data, piece=piece).entries == count


def test_more_entries_than_a_plain_zip_counts_are_read() -> None:
    assert check(zipped(*map(str, range(70_000))), limit=100_000).entries == 70_000


def test_too_many_entries_are_refused_before_all_are_read() -> None:
    entry = zipped("a")[len(b"x") + 30 + 1 : -22]
    found = DirectoryCheck(LIMIT * LIMIT)
    found.feed(entry * MOST_ENTRIES)
    with pytest.raises(BadZipError, match="more than 100,000 files"):
        found.feed(entry)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "a/..", "..", "C:x", "c:/x", "a\\b", "..\\x", "\\\\host\\share"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    info = ZipInfo("x")
    info.filename = name
    assert "pack with paths relative to the folder" in refusal(zipped(info))


@pytest.mark.parametrize("name", ["..a", "a..b", "...", "a/.hidden", "a:b"[1:], "ab:c"])
def test_a_name_that_only_looks_like_it_is_taken(name: str) -> None:
    assert check(zipped(name)).entries == 1


def test_a_name_that_ends_early_is_refused() -> None:
    data = zipped("abcd").replace(b"abcd", b"ab\0d")
    assert "no name of a file" in refusal(data)


def test_a_second_name_that_leads_elsewhere_is_refused() -> None:
    info = ZipInfo("harmless")
    other = b"\1\0\0\0\0../../x"
    info.extra = pack("<2H", 0x7075, len(other)) + other
    assert "'../../x' leads out of the folder" in refusal(zipped(info))


def test_a_name_that_is_not_utf8_is_refused() -> None:
    data = zipped("ü").replace("ü".encode(), b"\xff\xff")
    assert "is not UTF-8" in refusal(data)


def test_a_bomb_is_refused() -> None:
    bomb = ZipInfo("zeros")
    bomb.compress_type = ZIP_DEFLATED
    data = zipped(bomb, content=bytes(10 * LIMIT + 1))
    assert len(data) < LIMIT
    assert "more than 100,000 bytes once unpacked" in refusal(data)
    assert check(zipped(bomb, content=bytes(10 * LIMIT))).total == 10 * LIMIT


def test_many_entries_that_are_a_bomb_together_are_refused() -> None:
    assert "once unpacked" in refusal(zipped(*map(str, range(101)), content=bytes(1_000)))


def test_a_size_of_four_gigabytes_is_refused_whatever_the_limit() -> None:
    data = zipped("a")
    at = data.rindex(b"PK\1\2")
    assert "once unpacked" in refusal(data[: at + 24] + b"\xff" * 4 + data[at + 28 :], limit=2**40)


def test_an_encrypted_entry_is_refused() -> None:
    data = zipped("a")
    at = data.rindex(b"PK\1\2")
    assert "encrypted" in refusal(data[: at + 8] + b"\1\0" + data[at + 10 :])


def test_a_compression_that_not_every_python_has_is_refused() -> None:
    info = ZipInfo("a")
    info.compress_type = ZIP_BZIP2
    assert "use deflate" in refusal(zipped(info))


def test_a_link_is_taken_because_it_is_unpacked_as_a_file() -> None:
    info = ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert check(zipped(info)).entries == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zip at all",
        b"PK\5\6",
        zipped("a")[:-1],
        zipped("a") + b"!",
        zipped("a")[60:],
        zipped("a").replace(b"PK\1\2", b"PK\0\0"),
        zipped("a", comment=b"PK\6\7" + bytes(16)) + zipped()[-22:],
    ],
    ids=["empty", "text", "start of an end", "cut", "trailing byte", "cut in front", "bad entry", "false end"],
)
def test_what_is_damaged_is_refused_with_advice(data: bytes) -> None:
    assert "pack the folder again" in refusal(data)


@given(st.binary(max_size=300), st.integers(0, 300), st.binary(min_size=1, max_size=8))
def test_no_bytes_end_in_another_error(content: bytes, at: int, patch: bytes) -> None:
    data = zipped("a", "b/c", content=content)
    broken = data[:at] + patch + data[at + len(patch) :]
    try:
        check(broken)
    except BadZipError as error:
        assert str(error).startswith("The package is not a zip")  # noqa: PT017 - either outcome is right
