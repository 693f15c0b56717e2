"""Followers of one live log through one API process: from the push of a line to its arrival at each."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from benchmarks import engines, machine, seed
from benchmarks.effort import Effort
from benchmarks.figures import Figure, at_most, quantiles
from benchmarks.process import Child, child
from benchmarks.reports import Runners

_PER_PROCESS = 1_250
"""Followers of one reading process: the readers share the cores with what they read from."""


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """A line each half second; API and gateway are processes of their own, so are the followers."""
    engine = engines.usual()
    for count in effort.of((200, 1_000, 5_000), (50, 200)):
        with tempfile.TemporaryDirectory() as folder:
            async with engines.fresh(engine, Path(folder)) as database:
                async for figure in _with(engine, database, Path(folder), count, effort):
                    yield figure


async def _with(engine: str, database: str, folder: Path, count: int, effort: Effort) -> AsyncIterator[Figure]:
    attempt = await _one_running(database)
    path = f"/api/v1/namespaces/default/jobs/{attempt.rpartition('-')[0]}/logs?follow=true"
    config = {"database": database, "objects": (folder / "objects").as_uri(), "bus": engines.bus()}
    async with (
        child("benchmarks.children.platform", config | {"parts": ["api"]}) as (api, urls),
        child("benchmarks.children.platform", config | {"parts": ["gateway"]}) as (_, gateway),
    ):
        runners = await Runners.open(gateway["gateway"], 1)
        found = await _followed(api, urls["api"], path, count, runners, attempt, effort.of(20, 4))
    name = f"{count:,} followers, {engine}"
    missing = f"{found['missing']} of {found['wanted']} arrivals missing"
    more = f"{missing}; API {found['cpu']:.0f} % of a core, RSS {found['rss']}"
    middle, tail = quantiles(name, found["delays"])
    yield middle
    yield Figure(tail.name, tail.ours, None, at_most(0.1, "s") if count == 5_000 else None, more)


async def _followed(
    api: Child, url: str, path: str, count: int, runners: Runners, attempt: str, lines: int
) -> dict[str, Any]:
    groups = [min(_PER_PROCESS, count - start) for start in range(0, count, _PER_PROCESS)]
    delays: list[float] = []
    async with Followers(url, path, groups) as followers:
        before, begin, offset = api.usage(), time.monotonic(), 0
        for _ in range(lines):
            data = f"@{time.monotonic_ns()}@ epoch 17: loss 0.4711, accuracy 0.9123\n".encode()
            await runners.post(attempt, f"logs/driver?offset={offset}", data)
            offset += len(data)
            await asyncio.sleep(0.5)
        await asyncio.sleep(3)
        after, seconds = api.usage(), time.monotonic() - begin
        delays = await followers.delays()
    wanted = count * lines
    rss = f"{machine.usage(api.pid).rss / 2**20:.0f} MiB"
    cpu = 100 * (after.cpu - before.cpu) / seconds
    return {"delays": delays, "missing": wanted - len(delays), "wanted": wanted, "cpu": cpu, "rss": rss}


class Followers:
    """Many readers of one log, in a few processes."""

    def __init__(self, url: str, path: str, groups: list[int]) -> None:
        self._contexts = [
            child("benchmarks.children.followers", {"url": url, "path": path, "count": count}) for count in groups
        ]
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        """All are connected."""
        for context in self._contexts:
            started, _ = await context.__aenter__()
            self._children.append(started)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End them."""
        for context in self._contexts[: len(self._children)]:
            await context.__aexit__(None, None, None)

    async def delays(self) -> list[float]:
        """Of every arrival so far, in seconds."""
        found: list[float] = []
        for one in self._children:
            found += (await one.ask("delays"))["delays"]
        return found


async def _one_running(database: str) -> str:
    opened = engines.open_database(database)
    try:
        return (await seed.running(opened, 1))[0]
    finally:
        await opened.close()
