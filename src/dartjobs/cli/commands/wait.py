"""`dartjobs wait`."""

from typing import TYPE_CHECKING

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, timeout_option

if TYPE_CHECKING:
    from datetime import timedelta

    from dartjobs.client.effects import Json


@click.command
@job_argument(many=True)
@timeout_option
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(jobs: tuple[str, ...], timeout: "timedelta | None", form: str) -> None:
    """Wait until jobs are finished, then exit as the first did that did not succeed.

    Changes of state go to stderr, the finished jobs to stdout.
    """
    from dartjobs.cli.awaiting import exit_as, wait_for
    from dartjobs.cli.output import show_named_jobs

    finished: list[Json] = []
    try:
        wait_for(jobs, timeout, finished)
    finally:
        show_named_jobs(finished, form, named=len(jobs))
    exit_as(finished)
