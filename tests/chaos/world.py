"""An installation of real processes on private servers, in which everything can be killed and started again."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from testbed.servers import MariaDB, MySQL, Redis, Server
from tests.fakes.engines import execute, with_database
from tests.fakes.parts import Installation, Part, installation_at
from tests.fakes.polling import until

_SQL = {"mysql": MySQL, "mariadb": MariaDB}
_QUICK = {"DARTJOBS_SYNC_LEASE": "PT3S", "DARTJOBS_SYNC_HEARTBEAT": "PT0.5S", "DARTJOBS_CONTROLLER_LEASE": "PT3S"}
"""So that a bounded test sees many turns of the leases."""


class Target(Protocol):
    """What can be killed and started again."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass
class World:
    """Everything by its name; servers first, since the others need them."""

    installation: Installation
    servers: dict[str, Server]
    apis: list[Part]
    syncs: list[Part]
    others: dict[str, Part]

    @property
    def targets(self) -> dict[str, Target]:
        apis = {f"api-{number}": part for number, part in enumerate(self.apis)}
        syncs = {f"sync-{number}": part for number, part in enumerate(self.syncs)}
        return {**self.servers, **apis, **syncs, **self.others}

    @property
    def parts(self) -> dict[str, Part]:
        return {name: one for name, one in self.targets.items() if isinstance(one, Part)}

    def ended_by_themselves(self) -> list[str]:
        """Parts that nobody killed, and that do not live."""
        return [f"{name} ended by itself:\n{part.said[-2_000:]}" for name, part in self.parts.items() if not part.lives]

    def left_over(self) -> list[str]:
        """Processes and folders of jobs, once every job is TERMINATED; those of the installation itself are known."""
        folder = self.installation.folder
        known = {part.pid for part in self.parts.values()} | {
            os.getpid(),
            *(one.pid for one in psutil.Process().parents()),
        }
        left = [str(path) for driver in ("local", "processes") for path in (folder / driver / "clusters").glob("*")]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                told = " ".join([*process.cmdline(), *process.environ().values()])
                if str(folder) in told and process.pid not in known and "testbed" not in told:
                    left.append(f"{process.pid} {' '.join(process.cmdline())}")
        return left


@contextlib.contextmanager
def world_at(folder: Path, *, database: str, driver: str, redis: bool, cpu: int) -> Iterator[World]:
    """Two API servers, two Sync Services of one cluster, a gateway and a controller; all gone afterwards."""
    servers: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:
        if database in _SQL:
            servers["database"] = _SQL[database](folder / "testbed-database")
        if redis:
            servers["redis"] = Redis(folder / "testbed-redis")
        for server in servers.values():
            stack.callback(server.stop)
            server.start()
        url = _make_database(servers["database"]) if database in _SQL else f"sqlite+aiosqlite:///{folder}/dartjobs.db"
        bus = servers["redis"].url if redis else "polling:"
        yield stack.enter_context(world_on(folder, url, bus, driver=driver, cpu=cpu, servers=servers))


@contextlib.contextmanager
def world_on(
    folder: Path,
    url: str,
    bus: str = "polling:",
    *,
    driver: str = "process",
    cpu: int = 64,
    servers: Mapping[str, Server] | None = None,
    **variables: str,
) -> Iterator[World]:
    """The same on a database that is there."""
    mine = {"CHAOS_PROCESSES": str(folder / "processes"), "CHAOS_CPU": str(cpu), "DARTJOBS_LOCAL_CPU": str(cpu)}
    with installation_at(folder, url, bus, **_QUICK, **mine, **variables) as installation:
        installation.upgrade()
        world = _world(installation, dict(servers or {}), driver)
        for part in world.parts.values():
            part.start()
        for api in world.apis:
            api.until_it_serves()
        yield world


def _world(installation: Installation, servers: dict[str, Server], driver: str) -> World:
    sync = ["server", "sync"] if driver == "local" else [sys.executable, "-m", "tests.chaos.sync_service"]
    return World(
        installation,
        servers,
        apis=[installation.api() for _ in range(2)],
        syncs=[installation.part(*sync, name="sync") for _ in range(2)],
        others={"gateway": installation.gateway(), "controller": installation.part("server", "controller")},
    )


def _make_database(server: Server) -> str:
    asyncio.run(execute(with_database(server.url, ""), "CREATE DATABASE dartjobs"))
    return with_database(server.url, "dartjobs")


def until_nothing_is_left(world: World, seconds: float) -> list[str]:
    """What is left of jobs after so long."""
    with contextlib.suppress(AssertionError):
        until(lambda: not world.left_over(), seconds)
    return world.left_over()
