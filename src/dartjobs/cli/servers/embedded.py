"""`dartjobs up`: every server in one process, on SQLite and a folder."""

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dartjobs.api.app import create_app as create_api
from dartjobs.api.settings import ApiSettings
from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.memory import MemoryBus
from dartjobs.cli.servers.serving import Server, listen, run, stop_event, until_serving, url_of
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
        run(_serve(data_dir, settings, on_ready))


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
    api_socket = listen(settings.host, settings.port or _last_port(data_dir / "url"), fallback=settings.port == 0)
    gateway_socket = listen("127.0.0.1", _last_port(data_dir / "gateway.url"), fallback=not _holds_clusters(data_dir))
    url, gateway_url = url_of(api_socket), url_of(gateway_socket)
    _write_atomically(data_dir / "gateway.url", gateway_url + "\n")
    database = Database.at(data_dir / "dartjobs.db")
    try:
        installation = await _open(data_dir, database)
        api = Server(create_api(installation.platform, settings), api_socket, _DRAIN_SECONDS)
        of_runners = create_gateway(
            installation.platform, GatewaySettings(), secret=installation.secret, installation=installation.id
        )
        gateway = Server(of_runners, gateway_socket, _DRAIN_SECONDS)
        await _run(data_dir, installation, gateway_url, servers=[api, gateway], url=url, on_ready=on_ready)
    finally:
        await database.close()


async def _run(
    data_dir: Path,
    installation: _Installation,
    gateway_url: str,
    *,
    servers: list[Server],
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
    stop = stop_event()
    async with asyncio.TaskGroup() as tasks:
        serving = [tasks.create_task(server.run_on_socket()) for server in servers]
        working = [tasks.create_task(sync.run()), tasks.create_task(controller.run())]
        await until_serving(servers, serving)
        _write_atomically(data_dir / "url", url + "\n")
        on_ready(url)
        await stop.wait()
        for server in servers:
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


def _last_port(path: Path) -> int:
    try:
        return int(path.read_text().strip().rpartition(":")[2])
    except (OSError, ValueError):
        return 0


def _holds_clusters(data_dir: Path) -> bool:
    """Runners that live know the gateway by its port only: then no other will do."""
    clusters = data_dir / "clusters"
    return clusters.is_dir() and any(clusters.iterdir())
