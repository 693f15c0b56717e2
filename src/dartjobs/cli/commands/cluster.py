"""`dartjobs cluster`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dartjobs.cli.options import cluster_argument, connection_options, output_option, session

if TYPE_CHECKING:
    from dartjobs.client.effects import Json


@click.group
def command() -> None:
    """For operators: see clusters, and say which may take jobs."""


@command.command("list")
@output_option()
@connection_options
def list_(form: str) -> None:
    """List clusters, with their room and what they are to placement."""
    with session() as server:
        found = server.run(server.calls.clusters())
    _show(found, form)


@command.command
@cluster_argument
@output_option("table", "json", "yaml")
@connection_options
def get(cluster: str, form: str) -> None:
    """Show one cluster."""
    from datetime import UTC, datetime

    from dartjobs.cli.cluster_text import describe
    from dartjobs.cli.output import show_data

    with session() as server:
        found = server.run(server.calls.cluster(cluster))
    if form == "table":
        click.echo(describe(found, datetime.now(UTC)))
    else:
        show_data(found, form)


@command.command
@cluster_argument
@output_option()
@connection_options
def cordon(cluster: str, form: str) -> None:
    """Let it take no new jobs; those that run go on."""
    _change(cluster, "cordon", form)


@command.command
@cluster_argument
@output_option()
@connection_options
def uncordon(cluster: str, form: str) -> None:
    """Let it take jobs again."""
    _change(cluster, "uncordon", form)


@command.command
@cluster_argument
@click.option("--reason", default="", metavar="TEXT", help="Kept in the history of its jobs.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output_option()
@connection_options
def lost(cluster: str, reason: str, form: str, *, yes: bool) -> None:
    """Declare it lost: its attempts end, and their jobs are tried elsewhere where they may be retried.

    Only for a cluster that will not come back as it was: what may still run there is deleted when it does.
    """
    import sys

    if not yes:
        if not sys.stdin.isatty():
            msg = "This ends every attempt on it, and there is no terminal to ask on: say --yes"
            raise click.UsageError(msg)
        click.confirm(f"End every attempt on {cluster}?", abort=True, err=True)
    _change(cluster, "lost", form, reason)


@command.command
@cluster_argument
@output_option()
@connection_options
def readmit(cluster: str, form: str) -> None:
    """Let a cluster that was declared lost take jobs again."""
    _change(cluster, "readmit", form)


def _change(name: str, verb: str, form: str, reason: str | None = None) -> None:
    with session() as server:
        found = server.run(server.calls.change_cluster(name, verb, reason))
    _show([found], form, named=True)


def _show(found: "Sequence[Json]", form: str, *, named: bool = False) -> None:
    from datetime import UTC, datetime

    from dartjobs.cli.cluster_text import overview
    from dartjobs.cli.output import show_data

    if form == "name":
        for one in found:
            click.echo(one["name"])
    elif form == "table":
        click.echo(overview(found, datetime.now(UTC)))
    else:
        show_data(found[0] if named else found, form)
