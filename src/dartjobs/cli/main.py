"""The `dartjobs` program."""

from importlib import import_module

import click

from dartjobs.cli import exit_codes
from dartjobs.cli.failures import translated
from dartjobs.cli.options import connection_options

COMMANDS = {
    "up": "Run a server with a local Ray on this machine, until Ctrl-C.",
    "submit": "Submit a job.",
    "list": "List jobs, newest first.",
    "get": "Show one job: its state, why it is there, and what to do next.",
    "describe": "Show everything about a job: its explanation, attempts and history.",
    "explain": "Say why a job is not running, or why it ended, and what comes next.",
    "logs": "Write a job's log to stdout, byte for byte: stdout and stderr of its entrypoint.",
    "wait": "Wait until jobs are finished, then exit as the first did that did not succeed.",
    "stop": "Ask jobs to stop: those named, or all that match.",
    "retry": "Submit finished jobs again, each as a new job with the same specification.",
    "requeue": "For operators: end running attempts, and queue their jobs again without spending a retry.",
    "history": "Show every change of a job's state: when, why, for how long, and by whom.",
    "cluster": "For operators: register clusters, see and empty them.",
    "server": "Run one part of the platform, beside others on the same database.",
    "db": "Look after the servers' database, which DARTJOBS_DATABASE_URL names.",
    "context": "Name servers, and choose the one that is meant.",
    "doctor": "Check what a command needs, and say what to do about what is wrong.",
    "completion": "Write the script that makes a shell complete commands, jobs and names.",
}
"""Each command's module under `commands`, and what its help says in a line: help must not load them all."""
ALIASES = {"why": "explain"}


class Commands(click.Group):
    """Loads a command's module when it is asked for, and turns errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        del ctx
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"dartjobs.cli.commands.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line each, without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

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
