"""What we add to a job's way to its first line: cold, and to `ray job submit` on the same head."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import ray_head
from benchmarks.commands import DARTJOBS
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most
from dartjobs import AsyncClient

_SAYS_WHEN = f'exec {sys.executable} -c "import time; print(time.time(), flush=True)"'
_AND_STAYS = _SAYS_WHEN[:-1] + '; time.sleep(600)"'


@dataclass(frozen=True, slots=True)
class Run:
    """Wall-clock seconds of the first job of a fresh head."""

    whole: float
    """From the call that asks for it, the head's start included, to the driver's first line."""
    head: float
    """Of that, from the start of the head until its dashboard answered."""
    on_head: float
    """From there to the first line."""
    warm: float = 0.0
    """From a second submission, by Ray's own API, to the first line of that driver, on the same head."""


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """In turn: a job of `dartjobs up`, and `ray start --head` with the same job by Ray's API once that answers."""
    ours: list[Run] = []
    theirs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench-up-") as name:
        async with _platform(Path(name)) as url, AsyncClient(url, user="bench") as client:
            for _ in range(effort.of(7, 1)):
                ours.append(await _ours(client, Path(name) / "data"))
                theirs.append(await _theirs(Path(name)))
    beat = ("ray start, then Ray's API", Samples([one.whole for one in theirs], "s"))
    yield Figure("cold start to the first line", Samples([one.whole for one in ours], "s"), beat)
    added = Samples([mine.whole - other.whole for mine, other in zip(ours, theirs, strict=True)], "s")
    yield Figure("added to a cold start", added, None, at_most(1.5, "s"))
    on_head = Samples([one.on_head for one in ours], "s")
    beat = ("Ray's API, first job of its head", Samples([one.on_head for one in theirs], "s"))
    yield Figure("dashboard answers to first line", on_head, beat, note="Ray's agent comes up meanwhile, in both")
    heads = ("ray start", Samples([one.head for one in theirs], "s"))
    yield Figure("the head's start, until its dashboard answers", Samples([one.head for one in ours], "s"), heads)
    yield Figure("Ray's API, second job on our head", Samples([one.warm for one in ours], "s"))


@contextlib.asynccontextmanager
async def _platform(folder: Path) -> AsyncIterator[str]:
    command = [DARTJOBS, "up", "--data-dir", str(folder / "data"), "--port", "0"]
    with (folder / "up.log").open("wb") as log:
        up = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=dict(os.environ))
    try:
        while not (folder / "data" / "url").exists():
            if up.returncode is not None:
                raise RuntimeError((folder / "up.log").read_text())
            await asyncio.sleep(0.05)
        yield (folder / "data" / "url").read_text().strip()
    finally:
        up.terminate()
        await up.wait()


async def _ours(client: AsyncClient, data: Path) -> Run:
    begin = time.time()
    handle = await client.submit(entrypoint=_AND_STAYS, head={"cpu": 1, "memory": "1Gi"}, timeouts={"job": "10m"})
    folder = data / "clusters" / f"{handle.id}-1"
    cluster = await _plan(folder)
    head_begin = (folder / "started").stat().st_mtime
    url = f"http://127.0.0.1:{cluster['dashboard_port']}"
    answered = await ray_head.until_answers(url, headers=_auth(cluster))
    first = await _first_line(client, handle.id)
    warm = await _ray(url, _auth(cluster))
    await client.stop(handle.id)
    await _until_gone(folder)
    return Run(first - begin, answered - head_begin, first - answered, warm)


async def _theirs(folder: Path) -> Run:
    begin = time.time()
    async with ray_head.head(folder) as url:
        answered = time.time()
        on_head = await _ray(url, {})
        return Run(answered - begin + on_head, answered - begin, on_head)


async def _first_line(client: AsyncClient, job_id: str) -> float:
    async with asyncio.timeout(300), contextlib.aclosing(client.follow(job_id)) as pieces:
        return float(await anext(pieces))


def _auth(cluster: dict[str, Any]) -> dict[str, str]:
    return {"x-ray-authorization": f"Bearer {cluster['ray_token']}"}


async def _plan(folder: Path) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (folder / "started").exists():
            await asyncio.sleep(0.01)
    plan: dict[str, Any] = json.loads((folder / "cluster.json").read_text())
    return plan


async def _ray(url: str, headers: dict[str, str]) -> float:
    """What `ray job submit` asks of the head, without the seconds that its command line takes to start."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
        begin = time.time()
        submitted = await http.post("/api/jobs/", json={"entrypoint": _SAYS_WHEN})
        job = submitted.raise_for_status().json()["submission_id"]
        while (await http.get(f"/api/jobs/{job}")).json()["status"] not in {"SUCCEEDED", "FAILED"}:
            await asyncio.sleep(0.2)
        logs = (await http.get(f"/api/jobs/{job}/logs")).json()["logs"]
        return float(logs.split()[-1]) - begin


async def _until_gone(folder: Path) -> None:
    async with asyncio.timeout(120):
        while folder.exists():
            await asyncio.sleep(0.1)
