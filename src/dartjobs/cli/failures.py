"""From exceptions to a line on stderr and an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dartjobs.cli import exit_codes
from dartjobs.cli.text import clean

if TYPE_CHECKING:
    from dartjobs.models.problem import DartJobsError


@contextmanager
def translated() -> Iterator[None]:
    """Raise click's `Exit` in the place of what went wrong, once it has been told."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(exit_codes.INTERRUPTED) from None
    except BrokenPipeError:
        _forget_stdout()
        raise click.exceptions.Exit(exit_codes.BROKEN_PIPE) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        from dartjobs.models.problem import DartJobsError

        if not isinstance(error, DartJobsError):
            raise
        tell(error)
        raise click.exceptions.Exit(exit_codes.of_error(error)) from None


def tell(error: "DartJobsError") -> None:
    """Say on stderr what is wrong: field by field, where the error knows them."""
    heading = (type(error).__doc__ or "").splitlines()[0] if error.errors else error.detail
    click.echo(f"Error: {clean(heading)}", err=True)
    for one in error.errors:
        click.echo(f"  {clean(one.field)}: {clean(one.detail)}", err=True)
    if error.request_id is not None and exit_codes.of_error(error) in {exit_codes.INTERNAL, exit_codes.UNAVAILABLE}:
        click.echo(f"  (request {clean(error.request_id)})", err=True)


def _forget_stdout() -> None:
    """Whoever read it has gone: what is left in its buffer must not raise again when Python exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
