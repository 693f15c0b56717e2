"""`dartjobs get`."""

import click

from dartjobs.cli.options import client, connection_options, output_option


@click.command
@click.argument("job", metavar="JOB")
@output_option()
@connection_options
def command(job: str, form: str) -> None:
    """Show one job: its state, why it is there, and what to do next."""
    from datetime import UTC, datetime

    from dartjobs.cli.describe import describe
    from dartjobs.cli.output import show_named_jobs

    with client() as server:
        found = server.get(job)
    if form == "table":
        click.echo(describe(found, datetime.now(UTC)))
    else:
        show_named_jobs([found], form)
