"""The servers, started by the CLI: the one module of it that imports them, and that lazily itself."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from dartjobs.api.app import create_app as create_api
from dartjobs.api.settings import ApiSettings
from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.memory import MemoryBus
from dartjobs.controller.loop import Controller
from dartjobs.controller.settings import ControllerSettings
from dartjobs.drivers.local.driver import LocalDriver
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.gateway.app import create_app as create_gateway
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.problem import DartJobsError
from dartjobs.services.platform import Platform
from dartjobs.store.database import Database
from dartjobs.store.meta import get_or_set
from dartjobs.store.migrate import upgrade
from dartjobs.sync.loop import SyncService
from dartjobs.sync.settings import SyncSettings

_DRAIN_SECONDS = 2


class AlreadyUpError(DartJobsError):
    """Another `dartjobs up` uses this data folder."""

    code = "already-up"


class PortTakenError(DartJobsError):
    """The port is taken by another program."""

    code = "port-taken"


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to the process in which it is one task of several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@dataclass(frozen=True, slots=True)
class _Installation:
    platform: Platform
    id: str
    secret: bytes


def up(*, data_dir: Path, host: str, port: int, allow_unauthenticated: bool, on_ready: Callable[[str], None]) -> None:
    """Run the whole platform in this process until SIGINT or SIGTERM. Ray clusters of running jobs go on.

    Args:
        data_dir: holds everything; made if absent.
        host: where the API binds.
        port: 0 takes the port of the last run if it is free, else any.
        allow_unauthenticated: needed for a host that is not loopback.
        on_ready: called with the API's URL once it serves.

    Raises:
        AlreadyUpError: another process uses the data folder.
        PortTakenError: the API's or the gateway's port is taken.
        ValueError: the host is not allowed.
    """
    settings = ApiSettings(host=host, port=port, allow_unauthenticated=allow_unauthenticated)
    data_dir = data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _exclusive(data_dir):
        asyncio.run(_serve(data_dir, settings, on_ready))


@contextlib.contextmanager
def _exclusive(data_dir: Path) -> Iterator[None]:
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            msg = f"Another `dartjobs up` uses {data_dir}. Stop it first, or take another --data-dir."
            raise AlreadyUpError(msg) from error
        yield


async def _serve(data_dir: Path, settings: ApiSettings, on_ready: Callable[[str], None]) -> None:
    api_socket = _listen(settings.host, settings.port or _last_port(data_dir / "url"), fallback=settings.port == 0)
    gateway_socket = _listen("127.0.0.1", _last_port(data_dir / "gateway.url"), fallback=not _holds_clusters(data_dir))
    url, gateway_url = _url_of(api_socket), _url_of(gateway_socket)
    _write_atomically(data_dir / "gateway.url", gateway_url + "\n")
    database = Database.at(data_dir / "dartjobs.db")
    try:
        installation = await _open(data_dir, database)
        api = _server(create_api(installation.platform, settings))
        gateway = _server(
            create_gateway(
                installation.platform, GatewaySettings(), secret=installation.secret, installation=installation.id
            )
        )
        servers = [(api, api_socket), (gateway, gateway_socket)]
        await _run(data_dir, installation, gateway_url, servers=servers, url=url, on_ready=on_ready)
    finally:
        await database.close()


async def _run(
    data_dir: Path,
    installation: _Installation,
    gateway_url: str,
    *,
    servers: list[tuple[_Server, socket.socket]],
    url: str,
    on_ready: Callable[[str], None],
) -> None:
    driver = LocalDriver(LocalSettings(data_dir=data_dir))
    sync = SyncService(
        installation.platform,
        driver,
        SyncSettings(gateway_url=gateway_url),
        holder=f"up/{installation.id}",
        secret=installation.secret,
        installation=installation.id,
    )
    controller = Controller(installation.platform, ControllerSettings(), f"up/{installation.id}")
    stop = _stop_event()
    async with asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(server.serve(sockets=[one])) for server, one in servers]
        working = [tasks.create_task(sync.run()), tasks.create_task(controller.run())]
        await _until_serving([server for server, _ in servers], serving)
        _write_atomically(data_dir / "url", url + "\n")
        on_ready(url)
        await stop.wait()
        for server, _ in servers:
            server.should_exit = True
        for task in working:
            task.cancel()
    await driver.close()


async def _open(data_dir: Path, database: Database) -> _Installation:
    await upgrade(database)
    identity = await database.write(partial(get_or_set, name="installation", fresh=secrets.token_hex(8)))
    store = open_store((data_dir / "objects").as_uri())
    platform = Platform(database, MemoryBus(), Packages(store), Uploads(store), Logs(store))
    return _Installation(platform, identity, _secret(data_dir / "secret"))


def _secret(path: Path) -> bytes:
    if not path.exists():
        _write_atomically(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text())


def _write_atomically(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _server(app: FastAPI) -> _Server:
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_DRAIN_SECONDS)
    return _Server(config)


def _listen(host: str, port: int, *, fallback: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        if not fallback or port == 0:
            listener.close()
            msg = f"Port {port} on {host} cannot be bound ({error.strerror}). Take another with --port, or --port 0."
            raise PortTakenError(msg) from error
        listener.bind((host, 0))
    listener.listen(2_048)
    return listener


def _last_port(path: Path) -> int:
    try:
        return int(path.read_text().strip().rpartition(":")[2])
    except (OSError, ValueError):
        return 0


def _holds_clusters(data_dir: Path) -> bool:
    """Runners that live know the gateway by its port only: then no other will do."""
    clusters = data_dir / "clusters"
    return clusters.is_dir() and any(clusters.iterdir())


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop_event() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_serving(servers: list[_Server], serving: list["asyncio.Task[None]"]) -> None:
    while not all(server.started for server in servers):
        await asyncio.wait(serving, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
        for task in serving:
            if task.done():
                task.result()
