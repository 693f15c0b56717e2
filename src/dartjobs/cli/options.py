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


def output_option(*forms: str, default: str = "table") -> Callable[[_F], _F]:
    """`-o`: the form of what goes to stdout."""
    return click.option(
        "--output",
        "-o",
        "form",
        type=click.Choice(forms or ("table", "json", "yaml", "name")),
        default=default,
        show_default=True,
        help="Form of the output.",
    )


def timeout_option(function: _F) -> _F:
    """`--timeout`: how long to wait."""
    return click.option(
        "--timeout", type=DURATION, help="Wait no longer than this, like 90s or 10m; the job goes on. Exits with 124."
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


class _Duration(click.ParamType):
    name = "duration"

    def convert(
        self, value: "str | timedelta", param: click.Parameter | None, ctx: click.Context | None
    ) -> "timedelta":
        from dartjobs.models.quantity import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _KeyValue(click.ParamType):
    name = "key=value"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, rest = value.partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key, rest


DURATION = _Duration()
KEY_VALUE = _KeyValue()


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
