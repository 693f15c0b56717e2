"""Small packages."""

import io
from collections.abc import AsyncIterator
from hashlib import sha256
from zipfile import ZipFile


def zipped(**files: bytes) -> bytes:
    """A zip of these files, not compressed."""
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def ref_of(data: bytes) -> str:
    """The reference of these bytes."""
    return f"sha256:{sha256(data).hexdigest()}"


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The bytes as they come over a wire."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
