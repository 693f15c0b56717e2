"""A page of a list at 1,000,000 jobs beside one at 1,000: plain, with each filter, and by labels."""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from sqlalchemy import func, select
from sqlalchemy.schema import CreateTable

from benchmarks import engines, http, seed
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most, ratio
from benchmarks.process import child
from dartjobs.store.tables import jobs, metadata

_PAGE = 100
_RUNNING = 100
"""The newest ones."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_FEW = 1_000
_VERSION = 1
"""Of what is written here: a new one is written anew."""


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Two API processes, one on few jobs and one on many, asked in turn."""
    many = effort.of(1_000_000, 20_000)
    for engine in (name for name in engines.engines() if name != "mariadb"):
        with tempfile.TemporaryDirectory() as name:
            small, large = await _seeded(engine, _FEW), await _seeded(engine, many)
            objects = (Path(name) / "objects").as_uri()
            async with (
                child("benchmarks.children.platform", {"database": small, "objects": objects}) as (_, few),
                child("benchmarks.children.platform", {"database": large, "objects": objects}) as (_, most),
            ):
                for title, query in _queries(many):
                    yield await _page(f"{title}, {engine}", (few["api"], most["api"]), query, many, effort)


def _queries(many: int) -> Iterator[tuple[str, tuple[dict[str, str], dict[str, str]]]]:
    """Each for few and for many jobs, so that both fill a page where the title does not say otherwise."""
    yield "plain", ({}, {})
    yield "an old page (cursor)", ({"cursor": _old(_FEW)}, {"cursor": _old(many)})
    for title, filters in (
        ("state, common", {"state": "SUCCEEDED"}),
        ("state, rare", {"state": "RUNNING"}),
        ("active", {"active": "true"}),
        ("user, of 100 jobs", {"user": "user-7"}),
        ("user and state", {"user": "user-7", "state": "SUCCEEDED"}),
        ("name, of 100 jobs", {"name": "job-7"}),
        ("cluster", {"cluster": "local"}),
        ("selector, one value of 100 jobs", {"selector": "run=run-7"}),
        ("selector, two labels", {"selector": "run=run-7,team=search"}),
        ("selector, set-based", {"selector": "run in (run-7,run-8)"}),
        ("no match: user without jobs", {"user": "nobody"}),
    ):
        yield title, (filters, filters)
    few, most = ({"submitted_before": (_BEGIN + timedelta(seconds=count // 2)).isoformat()} for count in (_FEW, many))
    yield "submitted_before", (few, most)
    few, most = ({"submitted_after": (_BEGIN + timedelta(seconds=count - 200)).isoformat()} for count in (_FEW, many))
    yield "submitted_after", (few, most)


def _old(count: int) -> str:
    """The id of a job that is older than most."""
    return seed.id_at(_BEGIN + timedelta(seconds=count // 3))


async def _page(
    title: str, urls: tuple[str, str], query: tuple[dict[str, str], dict[str, str]], many: int, effort: Effort
) -> Figure:
    connections = [await http.Connection.open(url) for url in urls]
    requests = [http.request("GET", _path(one)) for one in query]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(effort.of(40, 8)):
        for taken, connection, request in zip(times, connections, requests, strict=True):
            begin = time.perf_counter()
            reply = await asyncio.wait_for(connection.call(request), 120)
            seconds = time.perf_counter() - begin
            if reply.status != 200:
                msg = f"{title}: {reply.status} {reply.body[:300]!r}"
                raise RuntimeError(msg)
            if number > 2:
                taken.append(seconds)
    for connection in connections:
        connection.close()
    few, most = Samples(times[0], "s"), Samples(times[1], "s")
    note = f"page of {_PAGE} at {many:,}: {most}; at {_FEW:,}: {few}"
    return Figure(title, Samples([ratio(most, few)], "x"), None, at_most(1.3, "x"), note)


def _path(query: dict[str, str]) -> str:
    return f"/api/v1/namespaces/default/jobs?{urlencode(query | {'limit': str(_PAGE)}, quote_via=quote)}"


async def _seeded(engine: str, count: int) -> str:
    """A database with so many jobs, kept in the user's cache (or on the server) for the next time."""
    name = f"dartjobs_bench_list_{count}_{_fingerprint()}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dartjobs-bench"
    cache.mkdir(parents=True, exist_ok=True)
    url = await engines.make(engine, cache, name)
    database = engines.open_database(url)
    try:
        if await database.read(lambda conn: conn.scalar(select(func.count()).select_from(jobs))) != count:
            await database.close()
            await engines.drop(engine, name)
            for left in cache.glob(f"{name}.db*"):
                left.unlink()
            await engines.make(engine, cache, name)
            database = engines.open_database(url)
            await seed.write(database, _jobs(count))
            await database.write(lambda conn: conn.exec_driver_sql("ANALYZE" if engine == "sqlite" else _ANALYZE))
    finally:
        await database.close()
    return url


_ANALYZE = "ANALYZE TABLE jobs, job_labels, attempts"


def _jobs(count: int) -> Iterator[seed.Seeded]:
    """A job a second; users, names and runs have 100 each, dealt out evenly."""
    groups = count // 100
    for number in range(count):
        group = number % groups
        labels = {"run": f"run-{group}", "team": ("search", "vision", "speech")[number % 3]}
        at = _BEGIN + timedelta(seconds=number)
        is_running = number >= count - _RUNNING
        yield seed.Seeded(number, f"user-{group}", f"job-{group}", labels, running=is_running, at=at)


def _fingerprint() -> str:
    """Of the schema and of what is written here."""
    tables = "".join(str(CreateTable(table)) for table in metadata.sorted_tables)
    indexes = sorted(str(index) for table in metadata.sorted_tables for index in table.indexes)
    return hashlib.sha256(f"{_VERSION}{tables}{indexes}".encode()).hexdigest()[:10]
