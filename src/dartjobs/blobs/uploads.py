"""Uploads that come in parts: what was received of a package so far, kept where every API server finds it.

As with logs, a part is an object that is named by its offset and created once: of two who send the same part one
is told to go on from the other's end. Each uploader has a chain of its own, so that nobody's wrong bytes get into it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from dartjobs.blobs.errors import BlobStoreError, BlobStoreRefusedError, translated
from dartjobs.blobs.packages import check_size, hash_of
from dartjobs.blobs.stores import object_key
from dartjobs.models.problem import UploadOffsetError

_UPLOADS = "uploads"
_PART = 4 * 2**20
"""Bytes of the largest part: what an upload holds in memory."""


class Upload(NamedTuple):
    """An upload that somebody began."""

    namespace: str
    ref: str
    user: str
    """Whose it is; of any length and characters."""


class Uploads:
    """The unfinished uploads in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def offset(self, upload: Upload) -> int:
        """How many bytes were received, without a gap: 0 where none were."""
        return sum(size for _, size in await self._parts(upload))

    async def append(self, upload: Upload, offset: int, chunks: AsyncIterator[bytes], *, limit: int) -> int:
        """Store the chunks, which begin at `offset`; answers where they end. What came before a break is kept.

        Raises:
            UploadOffsetError: `offset` is not where the upload stands, or somebody else goes on with it.
            PackageTooLargeError: it has more than `limit` bytes.
            BlobStoreError, BlobStoreRefusedError: the store failed.
        """
        stands = await self.offset(upload)
        if stands != offset:
            raise UploadOffsetError.at(stands)
        rest = bytearray()
        try:
            async for chunk in chunks:
                rest += chunk
                check_size(offset + len(rest), limit)
                while len(rest) >= _PART:
                    offset = await self._create(upload, offset, bytes(rest[:_PART]))
                    del rest[:_PART]
        except BaseException:
            await asyncio.shield(self._keep(upload, offset, bytes(rest)))
            raise
        return await self._create(upload, offset, bytes(rest))

    async def read(self, upload: Upload) -> AsyncIterator[bytes]:
        """What was received, part by part."""
        for start, _ in await self._parts(upload):
            with translated("read the upload"):
                found = await self._store.get_async(_key(upload, start))
                part = bytes(await found.bytes_async())
            yield part

    async def discard(self, upload: Upload) -> None:
        """Remove what was received."""
        with translated("remove an upload"):
            found = await self._store.list(_prefix(upload)).collect_async()
        await self._delete([meta["path"] for meta in found])

    async def discard_stale(self, before: datetime) -> int:
        """Remove every part that was received before that time; answers how many. The rest of its chain is worthless.

        An upload that goes on after that begins anew.
        """
        with translated("list uploads"):
            found = await self._store.list(_UPLOADS).collect_async()
        stale = [meta["path"] for meta in found if meta["last_modified"] < before]
        await self._delete(stale)
        return len(stale)

    async def _parts(self, upload: Upload) -> list[tuple[int, int]]:
        """Offset and size of the parts that follow each other from the first byte on."""
        with translated("list the upload"):
            found = await self._store.list(_prefix(upload)).collect_async()
        sizes = {int(meta["path"].rpartition("/")[2]): meta["size"] for meta in found}
        parts, end = [], 0
        while sizes.get(end):
            parts.append((end, sizes[end]))
            end += sizes[end]
        return parts

    async def _create(self, upload: Upload, offset: int, part: bytes) -> int:
        if not part:
            return offset
        with translated("store the upload"):
            try:
                await self._store.put_async(_key(upload, offset), part, mode="create")
            except AlreadyExistsError:
                raise UploadOffsetError.at(await self.offset(upload)) from None
        return offset + len(part)

    async def _keep(self, upload: Upload, offset: int, rest: bytes) -> None:
        with suppress(BlobStoreError, BlobStoreRefusedError, UploadOffsetError):  # then it is sent once more
            await self._create(upload, offset, rest)

    async def _delete(self, keys: list[str]) -> None:
        for key in keys:
            with translated("remove an upload"), suppress(FileNotFoundError):
                await self._store.delete_async(key)


def _prefix(upload: Upload) -> str:
    owner = sha256(upload.user.encode()).hexdigest()[:32]
    return object_key(_UPLOADS, upload.namespace, hash_of(upload.ref), owner)


def _key(upload: Upload, offset: int) -> str:
    """Twenty digits hold any 64-bit offset, so keys sort as offsets do."""
    return f"{_prefix(upload)}/{offset:020d}"
