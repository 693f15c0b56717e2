"""`dartjobs history`."""

import click

from dartjobs.cli.options import client, connection_options, output_option


@click.command
@click.argument("job", metavar="JOB")
@output_option("table", "json", "yaml")
@connection_options
def command(job: str, form: str) -> None:
    """Show every change of a job's state: when, why, for how long, and by whom."""
    from datetime import UTC, datetime

    from dartjobs.cli.describe import history
    from dartjobs.cli.output import as_data, show_data

    with client() as server:
        transitions = server.events(job)
    if form == "table":
        click.echo(history(transitions, datetime.now(UTC)))
    else:
        show_data([as_data(one) for one in transitions], form)
