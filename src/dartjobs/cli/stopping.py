"""Stopping jobs: those that are named, or all that match."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dartjobs.cli.each import to_each

if TYPE_CHECKING:
    from dartjobs.client.effects import Json
    from dartjobs.client.filters import Filters
    from dartjobs.client.session import Session


@dataclass(frozen=True)
class Wish:
    """How it is to be done."""

    reason: str
    dry_run: bool
    sure: bool
    """Nobody need be asked."""


def stop_named(server: "Session", job_ids: Sequence[str], wish: Wish) -> "tuple[list[Json], int]":
    """Ask each; what it is now, and the exit code of the first for which that did not work."""
    if wish.dry_run:
        return to_each(job_ids, lambda job_id: server.run(server.calls.get(job_id)))
    return to_each(job_ids, lambda job_id: server.run(server.calls.stop(job_id, wish.reason)))


def stop_matching(server: "Session", filters: "Filters", wish: Wish, *, everything: bool) -> "list[Json]":
    """Ask all that match and are not finished; the server chooses them. What each was when it was asked.

    Raises:
        click.Abort: whoever was asked did not agree.
        click.UsageError: nobody can be asked.
    """
    meant: Filters = {**filters, "active": True} if filters.get("active") is None else filters
    found = list(server.iterate(server.calls.list(meant, None)))
    if wish.dry_run or not found:
        return found
    if not wish.sure:
        _ask(len(found))
    asked = list(server.iterate(server.calls.stop_many(meant, wish.reason, everything=everything)))
    click.echo(f"Asked {_jobs(len(asked))} to stop.", err=True)
    known = {job["id"]: job for job in found}
    new = [server.run(server.calls.get(job_id)) for job_id in asked if job_id not in known]
    return [*(known[job_id] for job_id in asked if job_id in known), *new]


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        msg = f"{_jobs(count)} would stop, and there is no terminal to ask on: say --yes, or look with --dry-run"
        raise click.UsageError(msg)
    click.confirm(f"Stop {_jobs(count)}?", abort=True, err=True)


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"
