"""Opening an object store, and naming what is in it."""

import re
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from dartjobs.blobs.errors import BlobStoreRefusedError
from dartjobs.models.problem import InvalidRequestError

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def open_store(url: str) -> ObjectStore:
    """The store at `file:///folder` (made if absent), `memory://`, or any other URL that obstore knows.

    A folder is as safe as its file system without fsync: obstore writes a temporary file beside the object and renames
    it (create-only: hard-links it), so a reader sees a whole object or none and one of two writers wins, but a power
    cut may lose the latest ones. What a killed process leaves, `{key}#{n}`, is not listed and hinders no later write.

    Raises:
        ValueError: no URL that obstore knows, or a file URL that is no absolute path on this machine.
        BlobStoreRefusedError: the store cannot be opened.
    """
    try:
        return _open(url)
    except (BaseError, OSError) as error:
        msg = f"The object store at {url} cannot be opened: {str(error).partition(chr(10))[0]}"
        raise BlobStoreRefusedError(msg) from error


def _open(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme != "file":
        return from_url(url)
    if parts.netloc not in {"", "localhost"} or not url.removeprefix("file:").startswith("//"):
        msg = f"{url} names no folder of this machine: write file:///absolute/path"
        raise ValueError(msg)
    return LocalStore(url2pathname(parts.path), mkdir=True)


def object_key(*segments: str) -> str:
    """The segments as one key.

    Raises:
        InvalidRequestError: a segment that could lead elsewhere, such as `..` or one with a slash.
    """
    for segment in segments:
        if _SEGMENT.fullmatch(segment) is None:
            msg = f"{segment!r} cannot be part of an object's key: use letters, digits, '-', '_' and '.'"
            raise InvalidRequestError(msg)
    return "/".join(segments)
