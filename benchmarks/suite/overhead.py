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
    """Wall-clock seconds of one job on one fresh head."""

    whole: float
    """From the call of `submit` to the driver's first line."""
    head: float
    """Of that, from the head's start until its dashboard answered."""
    ours_on_head: float
    """From there to the first line."""
    ray_on_head: float
    """From a submission by Ray's own API to the first line of that driver, on the same head."""

    @property
    def added(self) -> float:
        """What is neither the head's start nor Ray's own."""
        return self.whole - self.head - self.ray_on_head


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Real Ray heads of `dartjobs up`; each is asked by Ray's API too, after our job and before it goes."""
    with tempfile.TemporaryDirectory(prefix="bench-up-") as name:
        async with _platform(Path(name)) as url, AsyncClient(url, user="bench") as client:
            runs = [await _one(client, Path(name) / "data") for _ in range(effort.of(7, 1))]
    added = Samples([one.added for one in runs], "s")
    yield Figure("added to a cold start", added, None, at_most(1.5, "s"), "submit to first line, less head and Ray")
    ours, theirs = Samples([one.ours_on_head for one in runs], "s"), Samples([one.ray_on_head for one in runs], "s")
    yield Figure("dashboard answers to first line", ours, ("Ray's API on the same head", theirs))
    yield Figure("added on the head", Samples([one.ours_on_head - one.ray_on_head for one in runs], "s"))
    yield Figure("the head's own start", Samples([one.head for one in runs], "s"), note="Ray's, not ours")
    yield Figure("whole cold start", Samples([one.whole for one in runs], "s"))


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


async def _one(client: AsyncClient, data: Path) -> Run:
    begin = time.time()
    handle = await client.submit(entrypoint=_AND_STAYS, head={"cpu": 1, "memory": "1Gi"}, timeouts={"job": "10m"})
    folder = data / "clusters" / f"{handle.id}-1"
    cluster = await _plan(folder)
    head_begin = (folder / "started").stat().st_mtime
    url = f"http://127.0.0.1:{cluster['dashboard_port']}"
    answered = await ray_head.until_answers(url, headers=_auth(cluster))
    first = await _first_line(client, handle.id)
    theirs = await _ray(url, _auth(cluster))
    await client.stop(handle.id)
    await _until_gone(folder)
    return Run(first - begin, answered - head_begin, first - answered, theirs)


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
