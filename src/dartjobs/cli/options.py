"""Options that several commands share."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dartjobs.cli.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from click.shell_completion import CompletionItem

    from dartjobs.client.config import Target
    from dartjobs.client.session import Session

_F = TypeVar("_F", bound=Callable[..., Any])
_META = "dartjobs.connection"


def duration(text: str) -> "timedelta":
    """The type of an option that is a time, such as `10m`."""
    from dartjobs.models.quantity import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def key_value(text: str) -> tuple[str, str]:
    """The type of an option that is a pair, such as `team=vision`."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        msg = f"{text!r} is not of the form K=V"
        raise click.BadParameter(msg)
    return key, value


def connection_options(function: _F) -> _F:
    """`--context`, `--url` and `--namespace`, on the program and on each command: the one further right wins."""
    for decorate in (
        click.option(
            "--namespace",
            "-n",
            metavar="NAME",
            expose_value=False,
            callback=_remember,
            help="Namespace of the jobs [DARTJOBS_NAMESPACE; the context's; default].",
        ),
        click.option(
            "--url",
            metavar="URL",
            expose_value=False,
            callback=_remember,
            help="Server [DARTJOBS_URL; the context's; the one that `dartjobs up` started].",
        ),
        click.option(
            "--context",
            metavar="NAME",
            expose_value=False,
            callback=_remember,
            shell_complete=complete_contexts,
            help="Named server, namespace and user [DARTJOBS_CONTEXT; the current one].",
        ),
    ):
        function = decorate(function)
    return function


def output_option(*forms: str) -> Callable[[_F], _F]:
    """`-o`: the form of what goes to stdout."""
    return click.option(
        "--output",
        "-o",
        "form",
        type=click.Choice(forms or ("table", "json", "yaml", "name")),
        default="table",
        show_default=True,
        help="Form of the output.",
    )


def timeout_option(function: _F) -> _F:
    """`--timeout`: how long to wait."""
    return click.option(
        "--timeout", type=duration, help="Wait no longer than this, like 90s or 10m; the job goes on. Exits with 124."
    )(function)


def job_argument(*, many: bool = False) -> Callable[[_F], _F]:
    """`JOB`, or `JOB...` in `jobs`; a shell completes it."""
    if many:
        return click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete_jobs)
    return click.argument("job", metavar="JOB", shell_complete=complete_jobs)


def cluster_argument(function: _F) -> _F:
    """`CLUSTER`; a shell completes it."""
    return click.argument("cluster", metavar="CLUSTER", shell_complete=complete_clusters)(function)


def target() -> "Target":
    """Where the options of the running command lead."""
    from dartjobs.client.config import resolve

    return resolve(**_connection())


@contextmanager
def session(*, hasty: bool = False, timeout: float = 30.0) -> "Iterator[Session]":
    """A connection to the server that the options of the running command mean."""
    from dartjobs.client.session import Session

    opened = Session(target(), warn=_warn, timeout=timeout, hasty=hasty)
    try:
        yield opened
    finally:
        opened.close()


def _warn(text: str) -> None:
    click.echo(f"Warning: {clean(text)}", err=True)


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_META, {})[param.name] = value


def _connection() -> dict[str, Any]:
    found: dict[str, Any] = click.get_current_context().meta.get(_META, {})
    return found


def complete_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Ids of jobs."""
    from dartjobs.cli.completing import jobs

    return jobs(ctx, param, incomplete)


def complete_clusters(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Names of clusters."""
    from dartjobs.cli.completing import clusters

    return clusters(ctx, param, incomplete)


def complete_contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Names of contexts."""
    from dartjobs.cli.completing import contexts

    return contexts(ctx, param, incomplete)
