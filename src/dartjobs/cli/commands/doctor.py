"""`dartjobs doctor`."""

import click

from dartjobs.cli.options import connection_options


@click.command
@click.option(
    "--output", "-o", "form", type=click.Choice(["table", "json"]), default="table", help="Form of the output."
)
@connection_options
def command(form: str) -> None:
    """Check what a command needs, and say what to do about what is wrong.

    Exits with 1 where something is.
    """
    from dataclasses import asdict

    from dartjobs.cli.checks import Verdict, examine
    from dartjobs.cli.output import show_data
    from dartjobs.cli.text import clean

    found = list(examine())
    if form == "json":
        show_data([asdict(one) for one in found], "json")
    else:
        width = max(len(one.what) for one in found)
        for one in found:
            click.echo(f"{one.verdict:<4}  {one.what.ljust(width)}  {clean(one.detail)}")
            if one.advice:
                click.echo(f"{'':<4}  {'':<{width}}  -> {clean(one.advice)}")
    raise click.exceptions.Exit(int(any(one.verdict == Verdict.BAD for one in found)))
