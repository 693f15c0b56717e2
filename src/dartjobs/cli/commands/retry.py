"""`dartjobs retry`."""

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument(many=True)
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(jobs: tuple[str, ...], form: str) -> None:
    """Submit finished jobs again, each as a new job with the same specification."""
    from dartjobs.cli.each import to_each
    from dartjobs.cli.output import show_named_jobs
    from dartjobs.client.drafts import new_key

    with session() as server:
        made, code = to_each(jobs, lambda job_id: server.run(server.calls.retry(job_id, new_key())))
    show_named_jobs(made, form, named=len(jobs))
    raise click.exceptions.Exit(code)
