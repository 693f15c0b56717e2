"""Packages: an object for the bytes, and a row that lets them be seen once they are complete and verified."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial

from dartjobs.blobs.errors import BlobStoreError, BlobStoreRefusedError
from dartjobs.blobs.packages import Stored, verified
from dartjobs.blobs.uploads import Upload
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import InvalidRequestError, PackageMismatchError, PackageTooLargeError
from dartjobs.services.platform import Platform
from dartjobs.store import packages as store
from dartjobs.store.database import now
from dartjobs.store.packages import Recorded

UPLOAD_KEPT = timedelta(days=1)
"""How long an upload that nobody goes on with is kept; no upload takes so long."""

_log = logging.getLogger(__name__)


async def head(platform: Platform, namespace: str, ref: str) -> PackageInfo | None:
    """The package, if it is stored whole and verified. Says nothing of the object store's health."""
    found = await platform.database.read(partial(store.get, namespace=namespace, ref=ref))
    return None if found is None else PackageInfo(ref=ref, size=found.size)


async def put(
    platform: Platform, namespace: str, ref: str, chunks: AsyncIterator[bytes], *, limit: int
) -> tuple[PackageInfo, bool]:
    """Store the package of `chunks`, at most `limit` bytes; also whether it is new.

    What is there already is read and verified, not stored again. Of two that put the same at once one is kept.

    Raises:
        InvalidRequestError: no reference, or no zip that may be unpacked.
        PackageTooLargeError: more than `limit` bytes.
        PackageMismatchError: the bytes are not those of `ref`.
        UnavailableError: the object store or the database is away.
    """
    known = await head(platform, namespace, ref)
    if known is not None:
        async for _ in verified(chunks, ref, limit):
            pass
        return known, False
    mine = Stored(namespace, ref, secrets.token_hex(16))
    size = await platform.packages.write(mine, chunks, limit=limit)
    kept = await platform.database.write(partial(store.record, new=Recorded(*mine, size)))
    if kept.gen != mine.gen:
        with suppress(BlobStoreError, BlobStoreRefusedError):  # it belongs to no row: a sweep finds it
            await platform.packages.delete(mine)
    return PackageInfo(ref=ref, size=size), kept.gen == mine.gen


async def received(platform: Platform, upload: Upload) -> int:
    """How many bytes of an upload that comes in parts have arrived; 0 where none was begun."""
    return await platform.uploads.offset(upload)


async def receive(
    platform: Platform, upload: Upload, offset: int, chunks: AsyncIterator[bytes], *, complete: bool, limit: int
) -> int | tuple[PackageInfo, bool]:
    """Take the bytes from `offset` on; with the last ones (`complete`) the package is verified and stored as by `put`.

    Answers where the upload stands, or the package and whether it is new. What turns out to be wrong is discarded.

    Raises:
        UploadOffsetError: it stands elsewhere.
        InvalidRequestError, PackageTooLargeError, PackageMismatchError, UnavailableError: as with `put`.
    """
    uploads = platform.uploads
    try:
        end = await uploads.append(upload, offset, chunks, limit=limit)
        if not complete:
            return end
        made = await put(platform, upload.namespace, upload.ref, uploads.read(upload), limit=limit)
    except (InvalidRequestError, PackageTooLargeError, PackageMismatchError):
        await uploads.discard(upload)
        raise
    with suppress(BlobStoreError, BlobStoreRefusedError):  # the sweep removes it
        await uploads.discard(upload)
    return made


async def read(platform: Platform, namespace: str, ref: str) -> tuple[int, AsyncIterator[bytes]] | None:
    """The package's size in bytes and its chunks, if it is stored.

    One whose object has vanished is forgotten, so that the next submission uploads it again.
    """
    found = await platform.database.read(partial(store.get, namespace=namespace, ref=ref))
    if found is None:
        return None
    opened = await platform.packages.open(_stored(found))
    if opened is None:
        _log.error("the object of package %s in %s has vanished from the object store", ref, namespace)
        await platform.database.write(partial(store.forget, one=found))
    return opened


async def sweep(platform: Platform, older_than: timedelta) -> int:
    """Remove packages that nobody used for so long and no unfinished job needs, and what uploads left behind.

    Answers how many packages. Several may sweep at once, and each may be killed anywhere: the next one goes on.

    Raises:
        UnavailableError: the database or the object store is away.
    """
    at = await platform.database.read(now)
    swept = 0
    for one in await platform.database.read(partial(store.unused, before=at - older_than)):
        if await platform.database.write(partial(store.mark_deleting, one=one, before=at - older_than)):
            await platform.packages.delete(_stored(one))
            await platform.database.write(partial(store.forget, one=one))
            swept += 1
    await platform.uploads.discard_stale(at - UPLOAD_KEPT)
    for orphan in await platform.packages.older(than=at - UPLOAD_KEPT):
        counts = partial(store.generation, namespace=orphan.namespace, ref=orphan.ref)
        if await platform.database.read(counts) != orphan.gen:
            await platform.packages.delete(orphan)
    return swept


def _stored(one: Recorded) -> Stored:
    return Stored(one.namespace, one.ref, one.gen)
