"""`dartjobs history`."""

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument()
@output_option("table", "json", "yaml")
@connection_options
def command(job: str, form: str) -> None:
    """Show every change of a job's state: when, why, for how long, and by whom."""
    from datetime import UTC, datetime

    from dartjobs.cli.describe import history
    from dartjobs.cli.output import show_data

    with session() as server:
        transitions = server.run(server.calls.events(job))
    if form == "table":
        click.echo(history(transitions, datetime.now(UTC)))
    else:
        show_data(transitions, form)
