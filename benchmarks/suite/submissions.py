"""Durable submissions a second through one API worker, single and in bulk, and none lost by `kill -9`."""

import asyncio
import itertools
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks import engines, http, machine
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_least, at_most, one
from benchmarks.process import Child, child
from dartjobs.store.tables import jobs

_SPEC = {"name": "train", "entrypoint": "python train.py --lr 0.1", "labels": {"team": "search"}}
_JOBS = "/api/v1/namespaces/default/jobs"
_ID = re.compile(rb"job-[0-9a-v]{26}")
_BULK = 500
_CONNECTIONS = 64
_REFERENCE = "FastAPI + SQLAlchemy, one row and one commit each"


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Ours and the reference in turn, on each engine; the load generator is this process."""
    for engine in engines.engines():
        with tempfile.TemporaryDirectory() as folder:
            async for figure in _on(engine, Path(folder), effort):
                yield figure
            async for figure in _killed(engine, Path(folder), effort):
                yield figure


async def _on(engine: str, folder: Path, effort: Effort) -> AsyncIterator[Figure]:
    rounds, seconds = effort.of(5, 2), effort.of(4.0, 1.0)
    single: list[float] = []
    bulk: list[float] = []
    theirs: list[float] = []
    note = f"{await engines.durability(engine)}; load generator on the same cores"
    async with (
        engines.fresh(engine, folder) as database,
        engines.fresh(engine, folder, migrated=False) as other,
        child("benchmarks.children.platform", _config(database, folder)) as (api, urls),
        child("benchmarks.children.reference_api", {"database": other}) as (_, reference),
    ):
        await _single(urls["api"], 0.5)
        await _rate(reference["api"], http.request("POST", "/jobs", _SPEC), seconds=0.5)
        tallies = []
        for _ in range(rounds):
            tallies.append(await _single(urls["api"], seconds))
            single.append(tallies[-1].rate)
            theirs.append(await _rate(reference["api"], http.request("POST", "/jobs", _SPEC), seconds=seconds))
            bulk.append(await _bulk(urls["api"], seconds))
        latencies = sorted(itertools.chain.from_iterable(tally.latencies for tally in tallies))
        more = f"p99 {latencies[int(len(latencies) * 0.99)] * 1_000:.0f} ms over {_CONNECTIONS} connections; {note}"
        beat = (_REFERENCE, Samples(theirs, "/s"))
        yield Figure(f"single, {engine}", Samples(single, "/s"), beat, at_least(5_000, "/s"), more)
        name = f"in bulk of {_BULK}, {engine}"
        yield Figure(name, Samples(bulk, "/s"), beat, at_least(15_000, "/s"), f"{note}; RSS {_rss(api)}")


async def _single(url: str, seconds: float) -> http.Tally:
    tally = await _drive(url, http.request("POST", _JOBS, _SPEC), _CONNECTIONS, seconds)
    _check(tally, 201)
    return tally


async def _rate(url: str, request: bytes, *, seconds: float) -> float:
    tally = await _drive(url, request, _CONNECTIONS, seconds)
    _check(tally, 201)
    return tally.rate


async def _bulk(url: str, seconds: float) -> float:
    tally = await _drive(url, http.request("POST", f"{_JOBS}/batch", {"items": [_SPEC] * _BULK}), 4, seconds)
    _check(tally, 200)
    return tally.rate * _BULK


async def _drive(url: str, request: bytes, connections: int, seconds: float) -> http.Tally:
    return await http.load(url, lambda: request, connections=connections, seconds=seconds, on_reply=lambda _reply: None)


def _check(tally: http.Tally, status: int) -> None:
    if set(tally.statuses) != {status} or tally.broken:
        msg = f"answers: {dict(tally.statuses)}, {tally.broken} broken"
        raise RuntimeError(msg)


async def _killed(engine: str, folder: Path, effort: Effort) -> AsyncIterator[Figure]:
    """Every answer that says 201 has its row, whenever the server is killed."""
    acknowledged: set[bytes] = set()
    rounds = effort.of(3, 1)
    async with engines.fresh(engine, folder) as database:
        for _ in range(rounds):
            async with child("benchmarks.children.platform", _config(database, folder)) as (api, urls):
                await _until_killed(api, urls["api"], acknowledged)
        stored = await _ids(database)
    lost = len(acknowledged - stored)
    note = f"{len(acknowledged):,} acknowledged, {len(stored):,} stored, killed {rounds} times"
    yield Figure(f"acknowledged and lost by kill -9, {engine}", one(lost, "jobs"), None, at_most(0, "jobs"), note)


async def _until_killed(api: Child, url: str, acknowledged: set[bytes]) -> None:
    request = http.request("POST", _JOBS, _SPEC)

    def keep(reply: http.Reply) -> None:
        found = _ID.search(reply.body)
        if reply.status == 201 and found is not None:
            acknowledged.add(found[0])

    loading = asyncio.create_task(
        http.load(url, lambda: request, connections=_CONNECTIONS, seconds=30.0, on_reply=keep)
    )
    await asyncio.sleep(1.5)
    await api.kill()
    await loading


async def _ids(database: str) -> set[bytes]:
    made = create_async_engine(database)
    async with made.connect() as conn:
        found = {one_id.encode() for one_id in await conn.scalars(select(jobs.c.id))}
    await made.dispose()
    return found


def _config(database: str, folder: Path) -> dict[str, object]:
    return {"database": database, "objects": (folder / "objects").as_uri(), "parts": ["api"]}


def _rss(api: Child) -> str:
    return f"{machine.usage(api.pid).rss / 2**20:.0f} MiB"
