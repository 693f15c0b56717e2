"""The options that say which jobs are meant."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dartjobs.cli.options import complete_clusters, duration
from dartjobs.models.state import JobState

if TYPE_CHECKING:
    from dartjobs.client.config import Target
    from dartjobs.client.filters import Filters

_F = TypeVar("_F", bound=Callable[..., Any])


def when(text: str) -> datetime:
    """The type of an option that is a moment: a time, or how long ago, such as `2h`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - duration(text)
    return at.astimezone()


_OPTIONS = (
    click.option(
        "--state",
        multiple=True,
        type=click.Choice([state.value for state in JobState], case_sensitive=False),
        help="Only jobs in this state; may be given again.",
    ),
    click.option("--user", metavar="NAME", help="Only jobs of this user."),
    click.option("--mine", is_flag=True, help="Only jobs of yours."),
    click.option("--name", metavar="NAME", help="Only jobs of this name."),
    click.option(
        "--cluster", metavar="NAME", shell_complete=complete_clusters, help="Only jobs whose attempt is there."
    ),
    click.option(
        "--selector",
        "-l",
        metavar="LABELS",
        help="Only jobs with such labels, as Kubernetes selects: team=vision,stage in (dev,test),!old",
    ),
    click.option("--since", type=when, metavar="TIME", help="Only jobs submitted since then: 2h, 7d, or 2026-01-31."),
    click.option("--active/--finished", default=None, help="Only jobs that are not finished, or that are."),
)


def filter_options(function: _F) -> _F:
    """Only jobs for which all of these hold that are given."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


def filters_of(given: dict[str, Any], target: "Target") -> "Filters":
    """What the options of `filter_options` say.

    Raises:
        click.UsageError: --mine and --user, or nobody knows who asks.
    """
    user = given["user"]
    if given["mine"]:
        if user is not None or target.user is None:
            msg = "--mine is yours and --user somebody's" if user else "--mine: say who you are by DARTJOBS_USER"
            raise click.UsageError(msg)
        user = target.user
    filters: Filters = {
        "state": given["state"],
        "user": user,
        "name": given["name"],
        "cluster": given["cluster"],
        "selector": given["selector"],
        "submitted_after": given["since"],
        "active": given["active"],
    }
    return filters


def is_given(filters: "Filters") -> bool:
    """Whether any of them leaves jobs out."""
    return any(value not in (None, ()) for value in filters.values())
