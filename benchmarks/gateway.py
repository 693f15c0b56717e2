"""A gateway that hears every runner: nothing of it but the sign that it listens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from benchmarks import engines
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.store import evidence


@asynccontextmanager
async def listening(database: str) -> AsyncIterator[None]:
    """It listens for cluster `local` while the context is open, so that Ray need not be asked about running jobs."""
    opened = engines.open_database(database)
    period = GatewaySettings().listen_seconds
    sign = partial(evidence.listens, cluster="local")

    async def go_on() -> None:
        while True:
            await asyncio.sleep(period)
            await opened.write(sign)

    await opened.write(sign)
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await opened.close()
