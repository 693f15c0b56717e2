"""`dartjobs logs`."""

import click

from dartjobs.cli.options import connection_options, job_argument, session


@click.command
@job_argument()
@click.option("--follow", "-f", is_flag=True, help="Go on until the job is finished, and exit as it did.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines of what is there.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="That attempt's; with --follow from it on.")
@click.option("--raw", is_flag=True, help="Leave control sequences in, on a terminal too.")
@connection_options
def command(job: str, *, follow: bool, tail: int | None, attempt: int | None, raw: bool) -> None:
    """Write a job's log to stdout, byte for byte: stdout and stderr of its entrypoint.

    On a terminal, colours are kept and other control sequences left out.
    """
    from dartjobs.cli import awaiting
    from dartjobs.client.logs import Place

    if follow:
        awaiting.exit_as([awaiting.follow(job, attempt=attempt, tail=tail, raw=raw)])
    writer = awaiting.LogWriter(raw=raw)
    with session() as server:
        for piece in server.iterate(server.calls.logs(job, Place(attempt, tail=tail))):
            writer.write(piece)
    writer.finish()
