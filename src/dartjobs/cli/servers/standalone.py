"""`dartjobs server …`: one part of the platform in a process of its own, beside others on the same database."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from dartjobs.api.app import create_app as create_api
from dartjobs.api.settings import ApiSettings
from dartjobs.cli.servers import serving
from dartjobs.cli.servers.parts import Parts, opened_parts
from dartjobs.cli.servers.settings import ConfigurationError, LocalClusterSettings, ServerSettings, read, secret_of
from dartjobs.controller.loop import Controller
from dartjobs.controller.settings import ControllerSettings
from dartjobs.drivers.base import Driver, DriverError
from dartjobs.gateway.app import create_app as create_gateway
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.sync.loop import SyncService
from dartjobs.sync.settings import SyncSettings

_log = logging.getLogger(__name__)
OnReady = Callable[[str], None]
MakeDriver = Callable[[str, bytes], Driver]
"""From the installation's id and its secret."""


def api(*, host: str | None, port: int | None, allow_unauthenticated: bool | None, on_ready: OnReady) -> None:
    """Run an API server until SIGTERM; any number of them serve one installation.

    Args:
        host: where to bind; None: `DARTJOBS_API_HOST`.
        port: 0 takes a free one; None: `DARTJOBS_API_PORT`.
        allow_unauthenticated: needed for a host that is not loopback.
        on_ready: called with the URL once it serves.

    Raises:
        DartJobsError: it cannot be started; says why.
    """
    settings = read(ApiSettings, host=host, port=port, allow_unauthenticated=allow_unauthenticated)
    listener = serving.listen(settings.host, settings.port)

    async def main() -> None:
        async with opened_parts() as parts:
            app = create_api(parts.platform, settings)
            await _serve(app, listener, parts, on_ready)

    serving.run(main())


def gateway(*, host: str | None, port: int | None, on_ready: OnReady) -> None:
    """Run a cluster's gateway until SIGTERM; any number of them may share its address.

    Raises:
        DartJobsError: it cannot be started; says why.
    """
    settings = read(GatewaySettings, host=host, port=port)
    secret = secret_of(read(ServerSettings))
    listener = serving.listen(settings.host, settings.port)

    async def main() -> None:
        async with opened_parts() as parts:
            app = create_gateway(parts.platform, settings, secret=secret, installation=parts.installation)
            await _serve(app, listener, parts, on_ready)

    serving.run(main())


def sync(make_driver: MakeDriver, *, cluster: str | None) -> None:
    """Run a cluster's Sync Service until SIGTERM; a second one waits until the first one's lease is free.

    Raises:
        DartJobsError: it cannot be started; says why.
    """
    settings = read(SyncSettings, cluster=cluster)
    secret = secret_of(read(ServerSettings))

    async def main() -> None:
        async with opened_parts() as parts:
            driver = make_driver(parts.installation, secret)
            service = SyncService(
                parts.platform,
                driver,
                settings,
                holder=parts.holder,
                secret=secret,
                installation=parts.installation,
            )
            try:
                await _until_stopped(service.run())
            finally:
                await driver.close()

    serving.run(main())


def controller() -> None:
    """Run the controller until SIGTERM; a second one waits until the first one's lease is free.

    Raises:
        DartJobsError: it cannot be started; says why.
    """
    settings = read(ControllerSettings)

    async def main() -> None:
        async with opened_parts() as parts:
            await _until_stopped(Controller(parts.platform, settings, parts.holder).run())

    serving.run(main())


def local_driver(data_dir: Path | None) -> MakeDriver:
    """The driver of this machine.

    Raises:
        ConfigurationError: it has no folder.
    """
    from dartjobs.drivers.local.driver import LocalDriver
    from dartjobs.drivers.local.settings import LocalSettings

    settings = read(LocalClusterSettings, data_dir=data_dir)
    if settings.data_dir is None:
        msg = "Say --data-dir, or set DARTJOBS_LOCAL_DATA_DIR: Ray clusters of this machine live there."
        raise ConfigurationError(msg)
    local = LocalSettings(settings.data_dir, settings.cpu, settings.memory, settings.gpu)
    return lambda _installation, _secret: LocalDriver(local)


def kuberay_driver() -> MakeDriver:
    """The driver of a Kubernetes cluster with KubeRay.

    Raises:
        ConfigurationError: it is not configured as it should be.
    """
    from dartjobs.drivers.kuberay.credentials import credentials
    from dartjobs.drivers.kuberay.driver import KubeRayDriver
    from dartjobs.drivers.kuberay.profiles import read_profiles
    from dartjobs.drivers.kuberay.settings import KubeRaySettings

    settings = read(KubeRaySettings)
    try:
        found = credentials(settings.kubeconfig, settings.context)
        profiles = read_profiles(settings.profiles_file)
    except (DriverError, OSError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    return lambda installation, secret: KubeRayDriver(
        settings, found, profiles, installation=installation, secret=secret
    )


async def _serve(app: FastAPI, listener: socket.socket, parts: Parts, on_ready: OnReady) -> None:
    server = serving.Server(app, listener, parts.settings.drain_seconds)
    stop = serving.stop_event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(server.run_on_socket())
        await serving.until_serving([server], [task])
        _log.info("serving on %s", server.url)
        on_ready(server.url)
        await stop.wait()
        _log.info("stopping: what is being answered is finished first")
        server.should_exit = True


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    stop = serving.stop_event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        await stop.wait()
        _log.info("stopping")
        task.cancel()
