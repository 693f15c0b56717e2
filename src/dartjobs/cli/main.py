"""The `dartjobs` program."""

from importlib import import_module

import click

from dartjobs.cli import exit_codes
from dartjobs.cli.failures import translated
from dartjobs.cli.options import connection_options

COMMANDS = ("up", "submit", "list", "get", "logs", "wait", "stop", "history")


class Commands(click.Group):
    """Loads a command's module when it is asked for, and turns errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"dartjobs.cli.commands.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run it."""
        with translated():
            return super().invoke(ctx)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_codes.HELP,
)
@click.version_option(package_name="dartjobs", message="%(prog)s %(version)s")
@connection_options
def cli() -> None:
    """Submit Ray jobs, follow them, and read what became of them.

    Without a server yet? `dartjobs up` runs one on this machine.
    """


def main() -> None:
    """Run the command line, and exit."""
    cli(prog_name="dartjobs")
