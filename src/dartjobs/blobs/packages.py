"""Packages: zips of working directories under the SHA-256 of their bytes, one set for each namespace.

An object's key holds a generation beside the hash, and no generation is used twice: what is written, read or deleted is
one certain object. Which generation counts is the database's word, so that an object is seen by nobody before it is
complete and verified.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import obstore
from obstore.store import ObjectStore

from dartjobs.blobs.errors import BlobStoreError, BlobStoreRefusedError, translated
from dartjobs.blobs.stores import object_key
from dartjobs.blobs.zips import TAIL, DirectoryCheck, find_directory
from dartjobs.models.problem import InvalidRequestError, PackageMismatchError, PackageTooLargeError

_REF = re.compile(r"sha256:([0-9a-f]{64})")
_KEY = re.compile(r"packages/([^/]+)/([0-9a-f]{64})-([0-9a-f]{1,32})")
_PACKAGES = "packages"
_PART = 5 * 2**20
"""Bytes: the smallest part that S3 takes of a multipart upload."""
_PARTS_AT_ONCE = 2
_READ = 2**20


class Stored(NamedTuple):
    """One object: a package, or what is to become one."""

    namespace: str
    ref: str
    gen: str
    """Up to 32 hexadecimal digits."""


class Packages:
    """The packages in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def write(self, one: Stored, chunks: AsyncIterator[bytes], *, limit: int) -> int:
        """Write the object of `chunks`, verify it, and answer its size in bytes; a failure leaves nothing.

        Memory is bounded by a few parts, whatever its size.

        Raises:
            InvalidRequestError: no reference, or no zip that may be unpacked.
            PackageTooLargeError: more than `limit` bytes.
            PackageMismatchError: the bytes are not those of the reference.
            BlobStoreError, BlobStoreRefusedError: the store failed.
        """
        key = _key(one)
        try:
            async with aclosing(verified(chunks, one.ref, limit)) as checked:
                size = await self._write(key, checked)
            await self._check_zip(key, size, limit)
        except BaseException:
            with suppress(BlobStoreError, BlobStoreRefusedError):  # it belongs to no row: a sweep finds it
                await asyncio.shield(self.delete(one))
            raise
        return size

    async def open(self, one: Stored) -> tuple[int, AsyncIterator[bytes]] | None:
        """The package's size in bytes and its chunks of about 1 MiB, if it is stored."""
        key = _key(one)
        with translated("read the package"):
            try:
                found = await self._store.get_async(key)
            except FileNotFoundError:
                return None
        return found.meta["size"], _chunks(found.stream(_READ))

    async def delete(self, one: Stored) -> None:
        """Remove the object; to do it twice does no harm."""
        with translated("remove the package"):
            try:
                await self._store.delete_async(_key(one))
            except FileNotFoundError:
                return

    async def older(self, than: datetime) -> list[Stored]:
        """Every object written before that time, as the store's clock has it; an upload must take less long."""
        with translated("list the packages"):
            found = await self._store.list(_PACKAGES).collect_async()
        matches = [_KEY.fullmatch(meta["path"]) for meta in found if meta["last_modified"] < than]
        return [Stored(one[1], f"sha256:{one[2]}", one[3]) for one in matches if one is not None]

    async def _write(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Write all chunks and answer their size. A failure leaves nothing that can be seen.

        The chunks are not handed to obstore's put: cancelled, it would leave a task behind that waits for the next one.
        """
        writer = obstore.open_writer_async(self._store, key, buffer_size=_PART, max_concurrency=_PARTS_AT_ONCE)
        size = 0
        async for chunk in chunks:
            with translated("store the package"):
                size += await writer.write(chunk)
        with translated("store the package"):
            await writer.close()
        return size

    async def _check_zip(self, key: str, size: int, limit: int) -> None:
        tail = max(0, size - TAIL)
        directory = find_directory(await self._range(key, tail, size), size)
        check = DirectoryCheck(limit)
        end = directory.start + directory.size
        for start in range(directory.start, end, _READ):
            await asyncio.to_thread(check.feed, await self._range(key, start, min(end, start + _READ)))
        check.finish()

    async def _range(self, key: str, start: int, end: int) -> bytes:
        if start == end:
            return b""
        with translated("read the package back"):
            return bytes(await self._store.get_range_async(key, start=start, end=end))


def hash_of(ref: str) -> str:
    """The 64 digits of a reference.

    Raises:
        InvalidRequestError: it is none.
    """
    match = _REF.fullmatch(ref)
    if match is None:
        msg = f"{ref!r} is no package: its reference is sha256: and 64 hexadecimal digits in lower case"
        raise InvalidRequestError(msg)
    return match[1]


async def verified(chunks: AsyncIterator[bytes], ref: str, limit: int) -> AsyncGenerator[bytes, None]:
    """The chunks, ending in an error where they are too many or not those of `ref`.

    Raises:
        PackageTooLargeError, PackageMismatchError: so they are.
    """
    digest, size = sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        check_size(size, limit)
        digest.update(chunk)
        yield chunk
    if (found := f"sha256:{digest.hexdigest()}") != ref:
        msg = f"The {size:,} bytes received are {found}, not {ref}: they changed on the way. Upload again."
        raise PackageMismatchError(msg)


def check_size(size: int, limit: int) -> None:
    """Refuse more than `limit` bytes.

    Raises:
        PackageTooLargeError: it is more.
    """
    if size > limit:
        msg = (
            f"The package is larger than the limit of {limit:,} bytes. Leave out what the job does not need with a "
            ".rayignore file, and read data from a shared store instead."
        )
        raise PackageTooLargeError(msg)


def _key(one: Stored) -> str:
    return object_key(_PACKAGES, one.namespace, f"{hash_of(one.ref)}-{one.gen}")


async def _chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with translated("read the package"):
        async for chunk in stream:
            yield chunk
