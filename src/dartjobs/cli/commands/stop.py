"""`dartjobs stop`."""

from datetime import timedelta

import click

from dartjobs.cli.options import client, connection_options, output_option, timeout_option


@click.command
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the job's history.")
@click.option(
    "--wait", is_flag=True, help="Return when the jobs have ended. Exits with 0 then, whatever their outcome."
)
@timeout_option
@output_option()
@connection_options
def command(jobs: tuple[str, ...], reason: str, *, wait: bool, timeout: timedelta | None, form: str) -> None:
    """Ask jobs to stop. A job that is finished already stays as it is.

    Every job named is asked; the exit code tells where one does not exist.
    """
    from dartjobs.cli import exit_codes
    from dartjobs.cli.awaiting import wait_for
    from dartjobs.cli.failures import tell
    from dartjobs.cli.output import show_named_jobs
    from dartjobs.models.problem import NotFoundError

    asked, missing = [], False
    with client() as server:
        for job_id in jobs:
            try:
                asked.append(server.stop(job_id, reason))
            except NotFoundError as error:
                tell(error)
                missing = True
    if wait and asked:
        asked = wait_for([job.id for job in asked], timeout)
    show_named_jobs(asked, form, named=len(jobs))
    raise click.exceptions.Exit(exit_codes.NOT_FOUND if missing else 0)
