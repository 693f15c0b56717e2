"""A Ray head of this machine's own Ray, started by its command line, and Ray's own ways to submit to it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil

from benchmarks import http
from dartjobs.drivers.local.plan import LOOPBACK_ONLY, PATIENCE, clean

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_FINAL = {"SUCCEEDED", "FAILED", "STOPPED"}


def environment() -> dict[str, str]:
    """Of Ray's processes: loopback only, without a token, no usage statistics."""
    ours = {LOOPBACK_ONLY: "0", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **PATIENCE}
    return clean(os.environ) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | ours


@contextlib.asynccontextmanager
async def head(folder: Path) -> AsyncIterator[str]:
    """The URL of its dashboard, from when that answers."""
    port, dashboard, client = _free_ports(3)
    with tempfile.TemporaryDirectory(prefix="bench-ray-", ignore_cleanup_errors=True) as temp:
        command = [*RAY, "start", "--head", "--block", f"--port={port}", f"--temp-dir={temp}"]
        command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
        command += ["--node-ip-address=127.0.0.1", "--dashboard-agent-listen-port=0", "--disable-usage-stats"]
        command += ["--num-cpus=2", "--object-store-memory=100000000"]
        with (folder / "ray.log").open("wb") as log:
            started = await asyncio.create_subprocess_exec(*command, env=environment(), stdout=log, stderr=log, cwd="/")
        url = f"http://127.0.0.1:{dashboard}"
        try:
            await until_answers(url)
            yield url
        finally:
            await _end(started)


async def until_answers(url: str, headers: Mapping[str, str] | None = None) -> float:
    """When its dashboard answered for the first time, by the wall clock."""
    request = http.request("GET", "/api/version", None, headers)
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                connection = await http.Connection.open(url)
                reply = await asyncio.wait_for(connection.call(request), 2)
                connection.close()
                if reply.status == 200:
                    return time.time()
            await asyncio.sleep(0.02)


async def exit_to_status(url: str, entrypoint: str) -> float:
    """Seconds from a driver's exit, whose time it prints, until the loop of Ray's documentation has seen it."""
    return await asyncio.to_thread(_exit_to_status, url, entrypoint)


def _exit_to_status(url: str, entrypoint: str) -> float:
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415 - it takes seconds to import

    client = JobSubmissionClient(url)
    job = client.submit_job(entrypoint=entrypoint)
    while str(client.get_job_status(job).value) not in _FINAL:
        time.sleep(1)
    returned = time.time()
    return returned - float(client.get_job_logs(job).split()[-1])


async def _end(started: asyncio.subprocess.Process) -> None:
    below = psutil.Process(started.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        started.send_signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(started.wait(), 20)
    _, alive = await asyncio.to_thread(psutil.wait_procs, below, 10)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
