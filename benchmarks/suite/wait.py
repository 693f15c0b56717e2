"""From the driver's exit to the return of the client's `wait()`, through runner, gateway, Sync Service and API."""

import random
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import engines, ray_head
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most, quantiles
from benchmarks.process import child
from dartjobs import AsyncClient

_POLL = 3.0
"""Seconds between two looks of KubeRay at a job's status."""
_TELLS_ITS_END = "sleep 0.3; exec date +%s.%N"


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """With each bus; every part is a process of its own, the driver a real runner on this machine."""
    engine = engines.usual()
    async for figure in _ray(effort):
        yield figure
    for bus in dict.fromkeys((engines.bus(), "polling:")):
        with tempfile.TemporaryDirectory() as folder:
            async with engines.fresh(engine, Path(folder)) as database:
                delays = await _delays(database, Path(folder), bus, effort.of(60, 6))
        name = f"driver exit to wait(), {engine}, {'adaptive polling' if bus == 'polling:' else 'Redis'}"
        polled = Samples([_POLL - random.random() * _POLL for _ in delays], "s")
        goal = at_most(0.03, "s")
        for figure in quantiles(name, delays, goal=goal, beat=("a poll each 3 s, computed", polled)):
            yield figure


async def _delays(database: str, folder: Path, bus: str, count: int) -> list[float]:
    config = {"database": database, "objects": (folder / "objects").as_uri(), "bus": bus}
    async with (
        child("benchmarks.children.platform", config | {"parts": ["api"]}) as (_, api),
        child("benchmarks.children.platform", config | {"parts": ["gateway"]}) as (_, gateway),
    ):
        sync = {"parts": ["sync"], "driver": "process", "gateway_url": gateway["gateway"]}
        async with (
            child("benchmarks.children.platform", config | sync),
            AsyncClient(api["api"], user="bench") as client,
        ):
            return [await _one(client) for _ in range(count)]


async def _one(client: AsyncClient) -> float:
    handle = await client.submit(entrypoint=_TELLS_ITS_END)
    job = await client.wait(handle.id, timeout=120)
    returned = time.time()
    log = b"".join([piece async for piece in client.logs(handle.id)])
    if job.attempt.exit_code != 0:
        msg = f"the job ended as {job.attempt.reason}"
        raise RuntimeError(msg)
    return returned - float(log)


async def _ray(effort: Effort) -> AsyncIterator[Figure]:
    """Ray's own client, with the loop of its documentation: the status each second."""
    with tempfile.TemporaryDirectory() as folder:
        async with ray_head.head(Path(folder)) as url:
            delays = [await ray_head.exit_to_status(url, _TELLS_ITS_END) for _ in range(effort.of(8, 1))]
    for figure in quantiles("the same with JobSubmissionClient, asked each second", delays):
        yield figure
