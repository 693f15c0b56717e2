"""Packages: zips of working directories under the SHA-256 of their bytes, one set for each namespace."""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import datetime
from hashlib import sha256

import obstore
from obstore.store import ObjectStore

from dartjobs.blobs.errors import BlobStoreError, BlobStoreRefusedError, translated
from dartjobs.blobs.stores import object_key
from dartjobs.blobs.zips import TAIL, DirectoryCheck, find_directory
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import InvalidRequestError, PackageMismatchError, PackageTooLargeError

_REF = re.compile(r"sha256:([0-9a-f]{64})")
_INCOMING = "incoming"
_PART = 5 * 2**20
"""Bytes: the smallest part that S3 takes of a multipart upload."""
_PARTS_AT_ONCE = 2
_READ = 2**20


class Packages:
    """The packages in one object store. A package is there whole and verified, or not at all."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(
        self, namespace: str, ref: str, chunks: AsyncIterator[bytes], *, limit: int
    ) -> tuple[PackageInfo, bool]:
        """Store the package of `chunks`, at most `limit` bytes; also whether it is new.

        Memory is bounded by a few parts, whatever its size. What is there already is read and verified, not stored
        again. Two that put the same package at once may both be told that it is new.

        Raises:
            InvalidRequestError: no reference, or no zip that may be unpacked.
            PackageTooLargeError: more than `limit` bytes.
            PackageMismatchError: the bytes are not those of `ref`.
            BlobStoreError, BlobStoreRefusedError: the store failed.
        """
        key = _package_key(namespace, ref)
        stored = await self.head(namespace, ref)
        async with aclosing(_verified(chunks, ref, limit)) as verified:
            if stored is not None:
                async for _ in verified:
                    pass
                return stored, False
            return PackageInfo(ref=ref, size=await self._receive(key, verified, limit)), True

    async def head(self, namespace: str, ref: str) -> PackageInfo | None:
        """What is stored under `ref`, if anything."""
        key = _package_key(namespace, ref)
        with translated("look for the package"):
            try:
                meta = await self._store.head_async(key)
            except FileNotFoundError:
                return None
        return PackageInfo(ref=ref, size=meta["size"])

    async def open(self, namespace: str, ref: str) -> tuple[int, AsyncIterator[bytes]] | None:
        """The package's size in bytes and its chunks of about 1 MiB, if it is stored."""
        key = _package_key(namespace, ref)
        with translated("read the package"):
            try:
                found = await self._store.get_async(key)
            except FileNotFoundError:
                return None
        return found.meta["size"], _chunks(found.stream(_READ))

    async def discard_incoming(self, before: datetime) -> int:
        """Remove what uploads left when the process that served them was killed; answers how many.

        `before` must lie further back than any upload takes.
        """
        with translated("list interrupted uploads"):
            found = await self._store.list(_INCOMING).collect_async()
        stale = [meta["path"] for meta in found if meta["last_modified"] < before]
        for path in stale:
            await self._discard(path)
        return len(stale)

    async def _receive(self, key: str, verified: AsyncIterator[bytes], limit: int) -> int:
        incoming = object_key(_INCOMING, secrets.token_hex(16))
        try:
            size = await self._write(incoming, verified)
            await self._check_zip(incoming, size, limit)
            with translated("store the package"):
                await self._store.rename_async(incoming, key)
        except BaseException:
            with suppress(BlobStoreError, BlobStoreRefusedError):  # `discard_incoming` removes it later
                await asyncio.shield(self._discard(incoming))
            raise
        return size

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

    async def _discard(self, key: str) -> None:
        with translated("remove an interrupted upload"):
            try:
                await self._store.delete_async(key)
            except FileNotFoundError:
                return


def _package_key(namespace: str, ref: str) -> str:
    match = _REF.fullmatch(ref)
    if match is None:
        msg = f"{ref!r} is no package: its reference is sha256: and 64 hexadecimal digits in lower case"
        raise InvalidRequestError(msg)
    return object_key("packages", namespace, match[1])


async def _verified(chunks: AsyncIterator[bytes], ref: str, limit: int) -> AsyncGenerator[bytes, None]:
    """The chunks, ending in an error where they are too many or not those of `ref`."""
    digest, size = sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            msg = (
                f"The package is larger than the limit of {limit:,} bytes. Leave out what the job does not need with a "
                ".rayignore file, and read data from a shared store instead."
            )
            raise PackageTooLargeError(msg)
        digest.update(chunk)
        yield chunk
    if (found := f"sha256:{digest.hexdigest()}") != ref:
        msg = f"The {size:,} bytes received are {found}, not {ref}: they changed on the way. Upload again."
        raise PackageMismatchError(msg)


async def _chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with translated("read the package"):
        async for chunk in stream:
            yield chunk
