"""What the Sync Service costs while 10,000 running jobs do not change: CPU and SQL statements a second."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import engines, gateway, seed
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most
from benchmarks.process import Child, child

_POLLING = "a loop over all jobs each 300 ms"


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """At no jobs, which shows what lease and polls cost, and at many, beside the loop on the same rows."""
    engine = engines.usual()
    for count in (0, effort.of(10_000, 1_000)):
        with tempfile.TemporaryDirectory() as folder:
            async with engines.fresh(engine, Path(folder)) as database:
                async for figure in _with(engine, database, Path(folder), count, effort):
                    yield figure


async def _with(engine: str, database: str, folder: Path, count: int, effort: Effort) -> AsyncIterator[Figure]:
    config = {"database": database, "objects": (folder / "objects").as_uri(), "parts": ["sync"]}
    config["held"] = str(await _held(database, folder, count))
    rounds, seconds = effort.of(3, 1), effort.of(20.0, 5.0)
    async with (
        gateway.listening(database),
        child("benchmarks.children.platform", config) as (sync, _),
        child("benchmarks.children.polling_loop", {"database": database}) as (loop, _),
    ):
        await _until_all_seen(sync, count)
        await asyncio.sleep(effort.of(10.0, 3.0))
        both = [await asyncio.gather(_use(sync, seconds), _use(loop, seconds)) for _ in range(rounds)]
    ours, theirs = [mine for mine, _ in both], [other for _, other in both]
    where = f"{count:,} running jobs, {engine}"
    beat = (_POLLING, Samples([cpu for cpu, _ in theirs], "%"))
    goal = at_most(1, "%") if count else None
    yield Figure(f"CPU of one core at {where}", Samples([cpu for cpu, _ in ours], "%"), beat, goal)
    statements = Samples([statements for _, statements in ours], "/s")
    beat = (_POLLING, Samples([statements for _, statements in theirs], "/s"))
    yield Figure(f"SQL statements at {where}", statements, beat, note="goal: <= 1/s more than with no jobs")


async def _held(database: str, folder: Path, count: int) -> Path:
    opened, path = engines.open_database(database), folder / "held.json"
    path.write_text(json.dumps(await seed.running(opened, count)))
    await opened.close()
    return path


async def _until_all_seen(sync: Child, count: int) -> None:
    while (await sync.ask("used"))["first_looks"] < count:
        await asyncio.sleep(0.1)


async def _use(process: Child, seconds: float) -> tuple[float, float]:
    """Percent of a core, and SQL statements a second."""
    before = await process.ask("used")
    await asyncio.sleep(seconds)
    after = await process.ask("used")
    return 100 * (after["cpu"] - before["cpu"]) / seconds, (after["statements"] - before["statements"]) / seconds
