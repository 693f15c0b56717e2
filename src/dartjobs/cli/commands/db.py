"""`dartjobs db`: the schema of the servers' database."""

import click

from dartjobs.cli.commands.server import prepared


@click.group
def command() -> None:
    """Look after the servers' database, which DARTJOBS_DATABASE_URL names."""


@command.command
def upgrade() -> None:
    """Bring the schema to this version; safe to repeat, and to run while servers of the last version run."""
    prepared("warning", "text")
    from dartjobs.cli.servers import databases

    databases.upgrade(click.echo)


@command.command
def current() -> None:
    """Print the schema's revision; fails when it is not that of this version."""
    prepared("warning", "text")
    from dartjobs.cli.servers import databases

    databases.current(click.echo)
