"""Memory of a Sync Service with 100,000 active jobs, and how long it takes after a restart to have looked at each."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import engines, gateway, seed
from benchmarks.effort import Effort
from benchmarks.figures import Figure, at_most, one
from benchmarks.process import child


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """At no, some and very many active jobs; the difference is what a job costs."""
    engine, most = engines.usual(), effort.of(100_000, 5_000)
    with tempfile.TemporaryDirectory() as folder:
        async with engines.fresh(engine, Path(folder)) as database:
            base, _, _ = await _start(database, Path(folder), [], effort)
            yield Figure(f"RSS at no jobs, {engine}", one(base, "bytes"))
            held: list[str] = []
            for count in (most // 10, most):
                held += await _seed(database, count - len(held))
                rss, seconds, cpu = await _start(database, Path(folder), held, effort)
                goal = at_most(512 * 2**20, "bytes")
                note = f"{(rss - base) / count / 1024:.2f} KiB a job (goal <= 5)"
                yield Figure(f"RSS at {count:,} active jobs, {engine}", one(rss, "bytes"), None, goal, note)
                goal_seconds = at_most(2, "s") if count <= 10_000 else None
                name = f"restart with {count:,} jobs: every one looked at, {engine}"
                yield Figure(
                    name, one(seconds, "s"), None, goal_seconds, f"{cpu:.2f} s of CPU from the process's start"
                )


async def _seed(database: str, count: int) -> list[str]:
    opened = engines.open_database(database)
    try:
        return await seed.running(opened, count)
    finally:
        await opened.close()


async def _start(database: str, folder: Path, held: list[str], effort: Effort) -> tuple[int, float, float]:
    """Bytes in memory, seconds until every job was looked at, seconds of CPU for that."""
    path = folder / "held.json"
    path.write_text(json.dumps(held))
    config = {"database": database, "objects": (folder / "objects").as_uri(), "parts": ["sync"], "held": str(path)}
    async with gateway.listening(database), child("benchmarks.children.platform", config) as (sync, _):
        begin = time.monotonic()
        while (used := await sync.ask("used"))["first_looks"] < len(held):
            await asyncio.sleep(0.02)
        seconds, cpu = time.monotonic() - begin, used["cpu"]
        await asyncio.sleep(effort.of(10.0, 1.0))
        return sync.usage().rss, seconds, float(cpu)
