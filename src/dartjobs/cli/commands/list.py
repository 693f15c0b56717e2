"""`dartjobs list`."""

from typing import Any

import click

from dartjobs.cli.filtering import filter_options, filters_of
from dartjobs.cli.options import connection_options, output_option, session


@click.command
@filter_options
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--all", "everything", is_flag=True, help="Without a limit.")
@click.option("--watch", "-w", is_flag=True, help="Go on with a line for each change, until Ctrl-C.")
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(*, limit: int, everything: bool, watch: bool, form: str, **given: Any) -> None:
    """List jobs, newest first."""
    from dartjobs.cli.output import show_jobs

    with session() as server:
        filters = filters_of(given, server.target)
        if watch:
            from dartjobs.cli.watching import watch_list

            watch_list(server, filters, limit, form)
        most = None if everything else limit + 1
        jobs = list(server.iterate(server.calls.list(filters, most)))
    if everything:
        show_jobs(jobs, form)
        return
    show_jobs(jobs[:limit], form)
    if len(jobs) > limit:
        click.echo(f"There are more than {limit}: --limit N or --all shows them.", err=True)
