"""What a job's whole life costs the Sync Service: CPU and SQL statements, from claim to clean-up."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks import engines, http
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most
from benchmarks.process import child
from benchmarks.reports import Report, Runners, listening
from dartjobs.store.database import Database
from dartjobs.store.tables import attempts

_OTHERS = "official client and ORM, as measured elsewhere"
_JOBS = "/api/v1/namespaces/default/jobs"
_SPEC = {"name": "train", "entrypoint": "true", "head": {"cpu": 1}}


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Jobs in rounds, each from submission to TERMINATED; API and gateway are another process, not counted."""
    engine, rounds, jobs = engines.usual(), effort.of(5, 2), effort.of(500, 50)
    with tempfile.TemporaryDirectory() as folder:
        async with engines.fresh(engine, Path(folder)) as database:
            config = {"database": database, "objects": (Path(folder) / "objects").as_uri(), "bus": engines.bus()}
            samples = await _rounds(config, rounds, jobs)
    cpu = Samples([one["cpu"] / jobs for one in samples], "s")
    yield Figure(f"Sync CPU a job, {engine}", cpu, (_OTHERS, Samples([0.0045], "s")), at_most(0.0008, "s"))
    statements = Samples([one["statements"] / jobs for one in samples], "statements")
    yield Figure(f"Sync SQL statements a job, {engine}", statements)
    rate = Samples([jobs / one["seconds"] for one in samples], "/s")
    yield Figure(f"whole lives, {engine}", rate, note=f"{jobs} jobs at once, all processes on this machine")


async def _rounds(config: dict[str, Any], rounds: int, jobs: int) -> list[dict[str, float]]:
    runners: list[Runners] = []

    def act(report: Report) -> None:
        if report.what == "submit":
            runners[0].run(report.attempt)

    database = engines.open_database(config["database"])
    async with (
        listening(act) as reports,
        child("benchmarks.children.platform", config | {"parts": ["api", "gateway"]}) as (_, urls),
        child("benchmarks.children.platform", config | {"parts": ["sync"], "reports": reports}) as (sync, _),
    ):
        runners.append(await Runners.open(urls["gateway"]))
        samples: list[dict[str, float]] = []
        for number in range(rounds + 1):
            before, begin = await sync.ask("used"), asyncio.get_running_loop().time()
            await _submit(urls["api"], jobs)
            await _until_terminated(database, jobs * (number + 1))
            after = await sync.ask("used")
            samples.append({name: after[name] - before[name] for name in ("cpu", "statements")})
            samples[-1]["seconds"] = asyncio.get_running_loop().time() - begin
    await database.close()
    return samples[1:]


async def _submit(url: str, count: int) -> None:
    connection = await http.Connection.open(url)
    for _ in range(count):
        reply = await connection.call(http.request("POST", _JOBS, _SPEC))
        assert reply.status == 201, reply
    connection.close()


async def _until_terminated(database: Database, count: int) -> None:
    statement = select(func.count()).where(attempts.c.resource_state == "TERMINATED")
    async with asyncio.timeout(600):
        while await database.read(lambda conn: conn.scalar(statement)) != count:
            await asyncio.sleep(0.05)
