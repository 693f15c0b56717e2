"""`dartjobs stop`."""

from typing import TYPE_CHECKING, Any

import click

from dartjobs.cli.filtering import filter_options, filters_of, is_given
from dartjobs.cli.options import complete_jobs, connection_options, output_option, session, timeout_option

if TYPE_CHECKING:
    from datetime import timedelta


@click.command
@click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=complete_jobs)
@filter_options
@click.option("--all", "everything", is_flag=True, help="Every job of the namespace.")
@click.option("--dry-run", is_flag=True, help="Only show which jobs are meant.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before many are stopped.")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the jobs' history.")
@click.option(
    "--wait", is_flag=True, help="Return when the jobs have ended. Exits with 0 then, whatever their outcome."
)
@timeout_option
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(
    jobs: tuple[str, ...], *, everything: bool, wait: bool, timeout: "timedelta | None", form: str, **given: Any
) -> None:
    """Ask jobs to stop: those named, or all that match.

    A job that is finished already stays as it is. Every job named is asked; the exit code tells where one does not
    exist. Of jobs that are not named, only those are meant that are not finished; it asks first, on a terminal.
    """
    from dartjobs.cli import stopping
    from dartjobs.cli.awaiting import wait_for
    from dartjobs.cli.output import show_named_jobs

    if timeout is not None and not wait:
        msg = "--timeout says how long to wait: give --wait too."
        raise click.UsageError(msg)
    with session() as server:
        filters = filters_of(given, server.target)
        matching = everything or is_given(filters)
        if bool(jobs) == matching:
            msg = "Name jobs, or say which by filters like -l and --state, or --all: one of these."
            raise click.UsageError(msg)
        wish = stopping.Wish(given["reason"], dry_run=given["dry_run"], sure=given["yes"])
        if jobs:
            asked, code = stopping.stop_named(server, jobs, wish)
        else:
            asked, code = stopping.stop_matching(server, filters, wish, everything=everything), 0
    if wait and asked and not given["dry_run"]:
        asked = wait_for([job["id"] for job in asked], timeout)
    show_named_jobs(asked, form, named=len(jobs))
    raise click.exceptions.Exit(code)
