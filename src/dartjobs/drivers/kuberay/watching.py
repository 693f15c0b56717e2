"""A copy of what an API server holds of one kind, kept current by a watch.

List, watch for a minute, list again: whatever a watch has missed, or was never told (a dead connection, a 410 because
history was compacted), is known a minute later. What is replaced is replaced whole, so that the difference is full.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from dartjobs.drivers.base import DriverError, TemporaryDriverError
from dartjobs.drivers.kuberay.client import Client, NotThereError
from dartjobs.drivers.kuberay.shapes import Event, Metadata, Thing

_log = logging.getLogger(__name__)
T = TypeVar("T", bound=Thing)
METADATA_ONLY = ";as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1,application/json"
_EVENT = msgspec.json.Decoder(Event)
_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


class _Expired(Exception):  # noqa: N818 - the API server's own word
    """What the watch went on from is no longer known (410)."""


class Watch(Generic[T]):
    """The objects of one kind at one path that a selector picks, by attempt and name."""

    def __init__(
        self,
        client: Client,
        path: str,
        selector: str,
        shape: type[T],
        *,
        seconds: float,
        metadata_only: bool = False,
        on_change: Callable[[T], None] = lambda _: None,
    ) -> None:
        """`seconds` between two lists; `on_change` is told of each object that came or changed."""
        self._client, self._path, self._selector, self._shape = client, path, selector, shape
        self._seconds = seconds
        self._partial = metadata_only
        self._on_change = on_change
        self._object = msgspec.json.Decoder(shape)
        self._by_attempt: dict[str, dict[str, T]] = {}
        self._seen_at = float("-inf")
        self._problem: str | None = "it was not listed yet"
        self._changed = asyncio.Event()

    def of(self, attempt_id: str) -> list[T]:
        """Those of one attempt."""
        return list(self._by_attempt.get(attempt_id, {}).values())

    def attempts(self) -> set[str]:
        """Every attempt of which there is one."""
        return set(self._by_attempt)

    @property
    def problem(self) -> str | None:
        """Why this may not be what the API server holds; None: it is, or was so a moment ago."""
        if self._problem is None and time.monotonic() - self._seen_at > 2 * self._seconds:
            return "nothing was heard of it"
        return self._problem

    async def until_listed(self) -> None:
        """Until the first list, or the first failure of one."""
        await self._changed.wait()

    async def run(self) -> None:
        """Keep it current until cancelled."""
        pause = _PAUSE
        while True:
            try:
                version = await self._list()
                pause = _PAUSE
                await self._follow(version)
            except _Expired:
                await asyncio.sleep(_PAUSE / 10)
            except (DriverError, httpx.HTTPError, msgspec.MsgspecError) as error:
                self._fail(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _fail(self, error: Exception) -> None:
        missing = "the API server does not know it: is its CRD installed?" if isinstance(error, NotThereError) else ""
        words = missing or str(error) or repr(error)
        if words != self._problem:
            _log.warning("watching %s: %s", self._path, words)
        self._problem = words
        self._changed.set()

    async def _list(self) -> str:
        found = await self._client.list(self._path, self._shape, self._selector, self._headers(of_list=True))
        fresh: dict[str, dict[str, T]] = {}
        for one in found.items:
            fresh.setdefault(one.metadata.attempt_id, {})[one.metadata.name] = one
            self._on_change(one)
        self._by_attempt = fresh
        self._hear()
        return str(found.metadata.resource_version)

    async def _follow(self, version: str) -> None:
        """Until the API server ends the watch in good order.

        Raises:
            _Expired: at 410.
            DriverError: it was refused.
            httpx.HTTPError: it broke, or was silent for too long.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "labelSelector": self._selector,
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(self._seconds))),
        }
        limits = httpx.Timeout(10.0, read=1.5 * self._seconds)
        async with self._client.watch(self._path, params, self._headers(of_list=False), limits) as answer:
            async for line in lines(answer.aiter_bytes()):
                self._apply(_EVENT.decode(line))

    def _apply(self, event: Event) -> None:
        if event.type == "ERROR":
            # 410 in nearly all cases, and whatever it is: only a list helps
            raise _Expired
        self._hear()
        if event.type == "BOOKMARK":
            return
        one = self._object.decode(event.object)
        if event.type == "DELETED":
            self._remove(one.metadata)
        else:
            self._by_attempt.setdefault(one.metadata.attempt_id, {})[one.metadata.name] = one
            self._on_change(one)

    def _remove(self, gone: Metadata) -> None:
        mine = self._by_attempt.get(gone.attempt_id, {})
        mine.pop(gone.name, None)
        if not mine:
            self._by_attempt.pop(gone.attempt_id, None)

    def _hear(self) -> None:
        self._seen_at, self._problem = time.monotonic(), None
        self._changed.set()

    def _headers(self, *, of_list: bool) -> dict[str, str]:
        if not self._partial:
            return {"accept": "application/json"}
        return {"accept": "application/json" + METADATA_ONLY.format(list="List" if of_list else "")}


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines that end with a line feed and with nothing else that Unicode calls an end."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line


def first_problem(*watches: Watch[Any]) -> str | None:
    """Of the first that has one."""
    return next((problem for one in watches if (problem := one.problem) is not None), None)


def require(*watches: Watch[Any]) -> None:
    """See that all are current.

    Raises:
        TemporaryDriverError: one is not; says why.
    """
    problem = first_problem(*watches)
    if problem is not None:
        msg = f"the cluster cannot be seen: {problem}"
        raise TemporaryDriverError(msg)
