"""`dartjobs get`."""

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument()
@click.option("--watch", "-w", is_flag=True, help="A line for each change, until the job is finished.")
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(job: str, form: str, *, watch: bool) -> None:
    """Show one job: its state, why it is there, and what to do next."""
    from datetime import UTC, datetime

    from dartjobs.cli.describe import describe
    from dartjobs.cli.output import show_named_jobs

    if watch:
        from dartjobs.cli.watching import watch_job

        watch_job(job, form)
        return
    with session() as server:
        found = server.run(server.calls.get(job))
    if form == "table":
        click.echo(describe(found, datetime.now(UTC)))
    else:
        show_named_jobs([found], form)
