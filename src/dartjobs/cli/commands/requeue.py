"""`dartjobs requeue`."""

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument(many=True)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the jobs' history.")
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(jobs: tuple[str, ...], reason: str, form: str) -> None:
    """For operators: end running attempts, and queue their jobs again without spending a retry."""
    from dartjobs.cli.each import to_each
    from dartjobs.cli.output import show_named_jobs

    with session() as server:
        asked, code = to_each(jobs, lambda job_id: server.run(server.calls.requeue(job_id, reason)))
    show_named_jobs(asked, form, named=len(jobs))
    raise click.exceptions.Exit(code)
