"""From the commit of a submission to the cluster's creation, beside a loop over all jobs; at no and many jobs."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from benchmarks import engines, gateway, http, seed
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Goal, Samples, at_most, quantiles
from benchmarks.process import child
from benchmarks.reports import Report, listening

_JOBS = "/api/v1/namespaces/default/jobs"
_SPEC = {"name": "train", "entrypoint": "true", "head": {"cpu": 1}}
_LOOP = "a loop over all jobs each 300 ms"


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """The clock starts when the answer to the submission, which comes after its commit, is read."""
    engine, medians = engines.usual(), {}
    for count in (0, effort.of(10_000, 500)):
        for bus in dict.fromkeys((engines.bus(), "polling:")):
            kind = "without hints" if bus == "polling:" else "with hints"
            with tempfile.TemporaryDirectory() as folder:
                async with engines.fresh(engine, Path(folder)) as database:
                    ours, theirs = await _measure(database, Path(folder), bus, count, effort)
            medians[kind, count] = Samples(ours, "s").median
            name = f"{kind}, at {count:,} active jobs, {engine}"
            goal = at_most(0.025, "s") if kind == "with hints" else None
            for figure in _figures(name, ours, theirs, goal):
                yield figure
    for kind in {kind for kind, _ in medians}:
        few, many = (value for (of, _), value in medians.items() if of == kind)
        yield Figure(f"{kind}, many jobs to none", Samples([many / few], "x"), None, at_most(1.3, "x"))


def _figures(name: str, ours: list[float], theirs: list[float], goal: Goal | None) -> list[Figure]:
    middle, tail = quantiles(name, ours, beat=(_LOOP, Samples(theirs, "s")))
    return [middle, Figure(tail.name, tail.ours, None, goal)]


async def _measure(
    database: str, folder: Path, bus: str, count: int, effort: Effort
) -> tuple[list[float], list[float]]:
    """Ours, then the loop's, on the same rows: both would take the same submissions."""
    opened, path = engines.open_database(database), folder / "held.json"
    path.write_text(json.dumps(await seed.running(opened, count)))
    await opened.close()
    config = {"database": database, "objects": (folder / "objects").as_uri(), "bus": bus}
    created: dict[str, float] = {}

    def keep(report: Report) -> None:
        created.setdefault(report.job, report.at)

    async with (
        gateway.listening(database),
        listening(keep) as reports,
        child("benchmarks.children.platform", config) as (_, urls),
    ):
        more: dict[str, Any] = {"parts": ["sync"], "held": str(path), "reports": reports}
        async with child("benchmarks.children.platform", config | more) as (sync, _):
            while (await sync.ask("used"))["first_looks"] < count:
                await asyncio.sleep(0.1)
            ours = await _submissions(urls["api"], created, effort.of(100, 10))
        async with child("benchmarks.children.polling_loop", {"database": database, "reports": reports}):
            theirs = await _submissions(urls["api"], created, effort.of(30, 5))
    return ours, theirs


async def _submissions(url: str, created: dict[str, float], count: int) -> list[float]:
    connection = await http.Connection.open(url)
    delays = []
    for number in range(count + 3):
        reply = await connection.call(http.request("POST", _JOBS, _SPEC))
        at = time.monotonic()
        assert reply.status == 201, reply
        job = json.loads(reply.body)["id"]
        await _until(lambda job=job: job in created)  # type: ignore[misc]
        if number >= 3:
            delays.append(max(0.0, created[job] - at))
        await asyncio.sleep(random.uniform(0.05, 0.65))
    connection.close()
    return delays


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.002)
