"""`dartjobs server`: the parts of the platform as processes of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def prepared(level: str, form: str) -> None:
    """Load what only a server needs, and set up what it says."""
    try:
        from dartjobs.cli.servers import logs
    except ImportError as error:
        msg = f"A server needs more than the client does ({error}): pip install 'dartjobs[server]'"
        raise click.ClickException(msg) from error
    logs.configure(level, form)


def _log_options(command: F) -> F:
    level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        envvar="DARTJOBS_LOG_LEVEL",
        help="What is said on stderr [DARTJOBS_LOG_LEVEL].",
    )
    form = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="DARTJOBS_LOG_FORMAT",
        help="How [DARTJOBS_LOG_FORMAT].",
    )
    return level(form(command))


def _address_options(prefix: str) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        host = click.option("--host", help=f"Address to listen on [{prefix}_HOST; 127.0.0.1].")
        port = click.option("--port", type=click.IntRange(0, 65_535), help=f"0 takes a free one [{prefix}_PORT].")
        return host(port(command))

    return decorate


@click.group
def command() -> None:
    """Run one part of the platform, beside others on the same database.

    Every part reads DARTJOBS_DATABASE_URL and DARTJOBS_OBJECT_STORE_URL, and ends in good order on SIGTERM.
    """


@command.command
@_address_options("DARTJOBS_API")
@click.option("--allow-unauthenticated", is_flag=True, default=None, help="Serve others than this machine.")
@_log_options
def api(host: str | None, port: int | None, log_level: str, log_format: str, **flags: bool | None) -> None:
    """Serve the API; any number of replicas.

    Prints its address once it is ready.
    """
    prepared(log_level, log_format)
    from dartjobs.cli.servers import standalone

    standalone.api(host=host, port=port, on_ready=click.echo, **flags)


@command.command
@_address_options("DARTJOBS_GATEWAY")
@_log_options
def gateway(host: str | None, port: int | None, log_level: str, log_format: str) -> None:
    """Take the reports of one cluster's runners.

    Prints its address once it is ready; runners must reach it under DARTJOBS_SYNC_GATEWAY_URL.
    """
    prepared(log_level, log_format)
    from dartjobs.cli.servers import standalone

    standalone.gateway(host=host, port=port, on_ready=click.echo)


@command.command
@click.option("--cluster", help="The cluster's name [DARTJOBS_SYNC_CLUSTER; local].")
@click.option(
    "--driver",
    type=click.Choice(["local", "kuberay"]),
    default="local",
    show_default=True,
    help="What it is: this machine, or Kubernetes with KubeRay [DARTJOBS_KUBERAY_…].",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of the local driver [DARTJOBS_LOCAL_DATA_DIR].",
)
@_log_options
def sync(cluster: str | None, driver: str, data_dir: Path | None, log_level: str, log_format: str) -> None:
    """Run the Sync Service of one cluster; a second one stands by."""
    prepared(log_level, log_format)
    from dartjobs.cli.servers import standalone

    make = standalone.kuberay_driver() if driver == "kuberay" else standalone.local_driver(data_dir)
    standalone.sync(make, cluster=cluster)


@command.command
@_log_options
def controller(log_level: str, log_format: str) -> None:
    """Run the controller; a second one stands by."""
    prepared(log_level, log_format)
    from dartjobs.cli.servers import standalone

    standalone.controller()
