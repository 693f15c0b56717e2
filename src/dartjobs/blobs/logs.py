"""Logs: what an attempt wrote, as chunks that are named by their offset and never change.

A chunk begins where the one before it ends, because a writer begins at the end that the store showed it, and a
create-only write lets one writer alone take that place. So the chunks form a chain without gaps and overlaps, and a
reader goes from a chunk to the next by adding its size, without listing anything.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator

from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from dartjobs.blobs.errors import translated
from dartjobs.blobs.stores import object_key

CHUNK = 2**20
"""Bytes of the largest chunk. A reader looks this far back for the one that holds an offset: never lower it."""

TAIL_REACH = 64 * CHUNK
"""Bytes that a tail reads at most, so that a log without newlines is not read whole."""

_ENDS_KEPT = 10_000


class Logs:
    """The logs in one object store. Offsets count bytes from 0 in each stream of an attempt."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._ends: OrderedDict[str, int] = OrderedDict()
        """The latest end seen of a stream. An end never falls, so that a stale one is a lower bound."""

    async def append(self, attempt_id: str, stream: str, offset: int, data: bytes) -> int:
        """Store what of `data`, which begins at `offset`, is new, and answer where the stored log ends then.

        The answer is the truth whatever happened: below `offset` where something is missing before it, and beyond what
        was sent, or short of it, where another writer was quicker. Go on from there.

        Raises:
            BlobStoreError, BlobStoreRefusedError: the store failed; the bytes may be stored or not. Ask for the end.
        """
        prefix = _prefix(attempt_id, stream)
        end = self._ends.get(prefix, 0)
        if end == 0 or offset > end:
            end = await self.end(attempt_id, stream)
        if offset > end:
            return end
        fresh = memoryview(data)[end - offset :]
        for start in range(0, len(fresh), CHUNK):
            chunk = fresh[start : start + CHUNK]
            if not await self._create(_chunk_key(prefix, end), chunk):
                return await self.end(attempt_id, stream)
            end += len(chunk)
            self._keep(prefix, end)
        return end

    async def end(self, attempt_id: str, stream: str) -> int:
        """Where the log ends, in bytes, as the store has it now: 0 where there is none."""
        prefix = _prefix(attempt_id, stream)
        end = self._ends.get(prefix, 0)
        with translated("list the log"):
            async for metas in self._store.list(prefix, offset=_before(prefix, end)):
                end = max([end, *(_offset(meta["path"]) + meta["size"] for meta in metas)])
        self._keep(prefix, end)
        return end

    async def read(self, attempt_id: str, stream: str, start: int, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`, or as far as anything is stored, in pieces of at most `CHUNK`."""
        prefix = _prefix(attempt_id, stream)
        at: int | None = start
        chunk = await self._get(prefix, start)
        if chunk is None:
            at = await self._begin_of(prefix, start)
            chunk = None if at is None else await self._get(prefix, at)
        while at is not None and chunk is not None:
            if wanted := chunk[max(0, start - at) : None if stop is None else max(0, stop - at)]:
                yield wanted
            at += len(chunk)
            chunk = await self._get(prefix, at) if stop is None or at < stop else None

    async def tail_offset(self, attempt_id: str, stream: str, lines: int) -> int:
        """Where the last `lines` lines begin, or `TAIL_REACH` bytes before the end where they begin before that.

        A last line without a newline counts as one.
        """
        end = await self.end(attempt_id, stream)
        if lines <= 0:
            return end
        missing, stop = lines, end - 1
        first = max(0, end - TAIL_REACH)
        while stop > first:
            start = max(first, stop - CHUNK)
            window = b"".join([piece async for piece in self.read(attempt_id, stream, start, stop)])
            found = window.count(b"\n")
            if found >= missing:
                return start + _nth_last_newline(window, missing) + 1
            missing -= found
            stop = start
        return first

    def forget(self, attempt_id: str) -> None:
        """Drop what is kept in memory of an attempt: nothing will be added, or its log was deleted."""
        prefix = object_key("logs", attempt_id) + "/"
        for key in [key for key in self._ends if key.startswith(prefix)]:
            del self._ends[key]

    async def _create(self, key: str, chunk: memoryview) -> bool:
        with translated("store the log"):
            try:
                await self._store.put_async(key, chunk, mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def _get(self, prefix: str, offset: int) -> bytes | None:
        with translated("read the log"):
            try:
                found = await self._store.get_async(_chunk_key(prefix, offset))
            except FileNotFoundError:
                return None
            return bytes(await found.bytes_async())

    async def _begin_of(self, prefix: str, offset: int) -> int | None:
        """Where the chunk begins that holds `offset`; if none does, perhaps one before it."""
        begin = -1
        with translated("list the log"):
            async for metas in self._store.list(prefix, offset=_before(prefix, offset - CHUNK + 1)):
                begin = max([begin, *(at for meta in metas if (at := _offset(meta["path"])) <= offset)])
        return begin if begin >= 0 else None

    def _keep(self, prefix: str, end: int) -> None:
        self._ends[prefix] = max(end, self._ends.get(prefix, 0))
        self._ends.move_to_end(prefix)
        if len(self._ends) > _ENDS_KEPT:
            self._ends.popitem(last=False)


def _prefix(attempt_id: str, stream: str) -> str:
    return object_key("logs", attempt_id, stream)


def _chunk_key(prefix: str, offset: int) -> str:
    """Twenty digits hold any 64-bit offset, so keys sort as offsets do."""
    return f"{prefix}/{offset:020d}"


def _before(prefix: str, offset: int) -> str | None:
    """The key to list after so that chunks from `offset` on are shown."""
    return _chunk_key(prefix, offset - 1) if offset > 0 else None


def _offset(key: str) -> int:
    return int(key.rpartition("/")[2])


def _nth_last_newline(window: bytes, number: int) -> int:
    at = len(window)
    for _ in range(number):
        at = window.rindex(b"\n", 0, at)
    return at
