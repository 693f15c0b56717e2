"""Parts of the platform in one process, with real settings: `python -m benchmarks.children.platform CONFIG`."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from fastapi import FastAPI

from benchmarks import engines, machine
from benchmarks.children.drivers import InstantDriver, ProcessDriver, Reporter
from benchmarks.children.lines import Statements, answer_lines, say
from dartjobs.api.app import create_app as create_api
from dartjobs.api.settings import ApiSettings
from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.open import open_bus
from dartjobs.bus.settings import BusSettings
from dartjobs.cli.servers.serving import Server, listen, run, stop_event, until_serving
from dartjobs.gateway.app import create_app as create_gateway
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.services.platform import Platform
from dartjobs.sync.loop import SyncService
from dartjobs.sync.settings import SyncSettings

SECRET, INSTALLATION = b"secret of the benchmarks", "bench"


@dataclass(frozen=True, slots=True)
class Config:
    """What this process is."""

    database: str
    objects: str
    bus: str = "memory:"
    parts: Sequence[str] = ("api",)
    """Of `api`, `gateway` and `sync`."""
    gateway_url: str = ""
    driver: str = "instant"
    """`instant` or `process`."""
    held: str = ""
    """A JSON file of attempts that the cluster holds, running, from the beginning."""
    reports: str = ""
    """The socket to which the driver tells what is asked of it."""


async def main(config: Config) -> None:
    """Serve until SIGTERM; lines are answered with what was used so far."""
    statements, store = Statements(), open_store(config.objects)
    bus = open_bus(BusSettings(url=config.bus, prefix=f"bench-{crc32(config.database.encode()):x}"))
    platform = Platform(engines.open_database(config.database), bus, Packages(store), Uploads(store), Logs(store))
    driver = (ProcessDriver if config.driver == "process" else InstantDriver)(Reporter(config.reports))
    if config.held:
        driver.hold(json.loads(Path(config.held).read_text()))
    parts = [part for part in ("api", "gateway") if part in config.parts]
    servers = {part: Server(_app(part, platform), listen("127.0.0.1", 0), drain_seconds=1) for part in parts}
    urls, stop = {part: server.url for part, server in servers.items()}, stop_event()
    async with asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(server.run_on_socket()) for server in servers.values()]
        await until_serving(list(servers.values()), working)
        if "sync" in config.parts:
            working.append(tasks.create_task(_sync(platform, driver, config, urls).run()))
        say(urls)
        working.append(tasks.create_task(answer_lines(lambda _: _used(statements, driver))))
        await stop.wait()
        for task in working:
            task.cancel()


def _app(part: str, platform: Platform) -> FastAPI:
    if part == "api":
        return create_api(platform, ApiSettings())
    return create_gateway(platform, GatewaySettings(), secret=SECRET, installation=INSTALLATION)


def _sync(platform: Platform, driver: InstantDriver, config: Config, urls: dict[str, str]) -> SyncService:
    settings = SyncSettings(gateway_url=config.gateway_url or urls.get("gateway", "http://127.0.0.1:9"))
    return SyncService(platform, driver, settings, holder="bench", secret=SECRET, installation=INSTALLATION)


def _used(statements: Statements, driver: InstantDriver) -> dict[str, Any]:
    used = machine.usage(os.getpid())
    return {
        "statements": statements.count,
        "cpu": used.cpu,
        "rss": used.rss,
        "observed": driver.observed,
        "first_looks": driver.first_looks,
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    run(main(Config(**given)))
