"""Options that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dartjobs.cli.text import clean

if TYPE_CHECKING:
    import logging
    from datetime import timedelta

    from dartjobs.client.async_client import AsyncClient
    from dartjobs.client.sync_client import Client

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
    """`--url` and `--namespace`, on the program and on each command: the one further right wins."""
    for decorate in (
        click.option(
            "--namespace",
            "-n",
            metavar="NAME",
            expose_value=False,
            callback=_remember,
            help="Namespace of the jobs [DARTJOBS_NAMESPACE; default].",
        ),
        click.option(
            "--url",
            metavar="URL",
            expose_value=False,
            callback=_remember,
            help="Server [DARTJOBS_URL; the one that `dartjobs up` started].",
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


def client() -> "Client":
    """The client for what the options of the running command say."""
    from dartjobs.client.sync_client import Client

    _show_client_warnings()
    return Client(**_connection())


def async_client() -> "AsyncClient":
    """The same, for asyncio."""
    from dartjobs.client.async_client import AsyncClient

    _show_client_warnings()
    return AsyncClient(**_connection())


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_META, {})[param.name] = value


def _connection() -> dict[str, Any]:
    found: dict[str, Any] = click.get_current_context().meta.get(_META, {})
    return found


def _show_client_warnings() -> None:
    """Send what the client logs to stderr."""
    import logging

    log = logging.getLogger("dartjobs.client")
    if not log.handlers:
        log.addHandler(_warnings_handler())
        log.propagate = False


def _warnings_handler() -> "logging.Handler":
    import logging

    class ToStderr(logging.Handler):
        """One line each. Two connections that lose one server say so once."""

        last: object = None

        def emit(self, record: logging.LogRecord) -> None:
            if record.args and record.msg == self.last and record.msg != "%s":
                return
            self.last = record.msg
            click.echo(f"Warning: {clean(record.getMessage())}", err=True)

    return ToStderr()
