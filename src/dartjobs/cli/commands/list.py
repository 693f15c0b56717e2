"""`dartjobs list`."""

from itertools import islice

import click

from dartjobs.cli.options import client, connection_options, output_option
from dartjobs.models.state import JobState


@click.command
@click.option(
    "--state",
    multiple=True,
    type=click.Choice([state.value for state in JobState], case_sensitive=False),
    help="Only jobs in this state; may be given again.",
)
@click.option("--name", metavar="NAME", help="Only jobs of this name.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--all", "everything", is_flag=True, help="Without a limit.")
@output_option()
@connection_options
def command(state: tuple[str, ...], name: str | None, limit: int, *, everything: bool, form: str) -> None:
    """List jobs, newest first."""
    from dartjobs.cli.output import show_jobs

    with client() as server:
        most = None if everything else limit + 1
        jobs = list(server.list(state=state, name=name, limit=most))
    if everything:
        show_jobs(jobs, form)
        return
    show_jobs(list(islice(jobs, limit)), form)
    if len(jobs) > limit:
        click.echo(f"There are more than {limit}: --limit N or --all shows them.", err=True)
