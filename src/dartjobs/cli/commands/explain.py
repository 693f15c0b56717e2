"""`dartjobs explain`, or `dartjobs why`."""

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument()
@output_option("table", "json", "yaml")
@connection_options
def command(job: str, form: str) -> None:
    """Say why a job is not running, or why it ended, and what comes next.

    `dartjobs why` is the same.
    """
    from datetime import UTC, datetime

    from dartjobs.cli.describe import explanation
    from dartjobs.cli.output import show_data

    with session() as server:
        found = server.run(server.calls.explain(job))
    if form == "table":
        click.echo(explanation(found, datetime.now(UTC)))
    else:
        show_data(found, form)
