"""`dartjobs cluster`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dartjobs.cli.options import (
    cluster_argument,
    connection_options,
    key_value,
    output_option,
    session,
    timeout_option,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from dartjobs.client.effects import Json


@click.group
def command() -> None:
    """For operators: register clusters, see and empty them."""


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
@click.option(
    "--label", multiple=True, type=key_value, metavar="K=V", help="What a --cluster-selector is matched with."
)
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="Hold no more jobs than this at once.")
@click.option("--max-cpu", metavar="CORES", help="Promise no more than this, like 64 or 500m.")
@click.option("--max-memory", metavar="BYTES", help="Promise no more than this, like 256Gi.")
@click.option("--max-gpu", type=click.IntRange(min=0), metavar="N", help="Promise no more than this.")
@click.option("--allow", multiple=True, metavar="NAMESPACE", help="Whose jobs may run there [everybody's].")
@click.option(
    "--placement",
    type=click.Choice(["first", "pack", "spread"]),
    default="first",
    show_default=True,
    help="To leave a job for a few seconds to a fuller (pack) or an emptier (spread) cluster, or to none.",
)
@click.option("--replace", is_flag=True, help="These settings take the place of those that it has, whole.")
@output_option()
@connection_options
def add(cluster: str, form: str, *, replace: bool, **flags: Any) -> None:
    """Register a cluster, or say what holds for one that registered itself.

    Its Sync Service may come later. What is said here wins over what that says.
    """
    from dartjobs.cli.cluster_flags import settings_of

    with session() as server:
        found = server.run(server.calls.add_cluster(cluster, settings_of(flags), replace=replace))
    _show([found], form, named=True)


@command.command
@cluster_argument
@click.option("--requeue", is_flag=True, help="Send what runs there back to the queue; no retry is spent.")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the history of its jobs.")
@click.option("--wait", is_flag=True, help="Wait until nothing lives there.")
@timeout_option
@output_option()
@connection_options
def drain(cluster: str, reason: str, timeout: "timedelta | None", form: str, *, requeue: bool, wait: bool) -> None:
    """Empty it: it takes no new jobs, and those that run there end, or go back to the queue.

    Queued jobs belong to no cluster, and go elsewhere by themselves. `uncordon` takes it back.
    """
    if timeout is not None and not wait:
        msg = "--timeout goes with --wait."
        raise click.UsageError(msg)
    with session() as server:
        drained = server.run(server.calls.drain_cluster(cluster, requeue=requeue, reason=reason))
        found = drained["cluster"]
        if requeue:
            click.echo(f"{len(drained['requeued'])} jobs go back to the queue.", err=True)
        if wait:
            seconds = None if timeout is None else timeout.total_seconds()
            found = server.run(server.calls.await_empty_cluster(cluster, seconds))
    _show([found], form, named=True)


@command.command
@cluster_argument
@connection_options
def remove(cluster: str) -> None:
    """Forget a cluster: refused while attempts live there or its Sync Service runs, unless it is declared lost."""
    with session() as server:
        server.run(server.calls.remove_cluster(cluster))
    click.echo(f"{cluster} is removed.", err=True)


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
