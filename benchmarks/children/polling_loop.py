"""What there is to beat: a loop that reads every active job and looks at each, 300 ms after the last time.

It is a lower bound of such a loop: its rows come without an ORM and its looks cost nothing.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from benchmarks import machine
from benchmarks.children.drivers import Reporter
from benchmarks.children.lines import Statements, answer_lines, say
from dartjobs.models.spec import JobSpec
from dartjobs.store.tables import attempts, jobs

_PAUSE = 0.3


async def loop(engine: AsyncEngine, reporter: Reporter) -> None:
    """For ever."""
    active = attempts.c.resource_state.in_(["QUEUED", "CREATING", "READY", "TERMINATING"])
    statement = select(jobs, attempts).join(attempts, jobs.c.id == attempts.c.job_id).where(active)
    while True:
        async with engine.begin() as conn:
            rows = (await conn.execute(statement)).all()
            for row in rows:
                await _look(row, conn, reporter)
        await asyncio.sleep(_PAUSE)


async def _look(row: Row[Any], conn: AsyncConnection, reporter: Reporter) -> None:
    spec = JobSpec.model_validate(row.spec)
    if row.resource_state == "QUEUED" and spec.entrypoint:
        reporter.tell("create", row._mapping[attempts.c.id])
        mine = update(attempts).where(attempts.c.id == row._mapping[attempts.c.id])
        await conn.execute(mine.values(resource_state="CREATING", cluster="local"))


async def main(config: dict[str, Any]) -> None:
    """Run the loop; lines are answered with what was used so far."""
    statements = Statements()
    engine = create_async_engine(config["database"])
    working = asyncio.create_task(loop(engine, Reporter(config.get("reports"))))
    say({"ready_at": time.monotonic()})
    await answer_lines(lambda _: {"statements": statements.count, "cpu": machine.usage(os.getpid()).cpu})
    working.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
