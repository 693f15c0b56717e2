"""Watching on stdout: a line for each change, as good in a pipe as on a terminal."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import click

from dartjobs.cli.options import session
from dartjobs.cli.output import row, wide_row
from dartjobs.cli.tables import cut
from dartjobs.cli.text import clean, coloured_state

if TYPE_CHECKING:
    from dartjobs.client.effects import Json
    from dartjobs.client.filters import Filters
    from dartjobs.client.session import Session

_POLL = 1.0
_WIDTHS = (30, 20, 9, 18, 12, 12)
"""Columns of a line whose rows are not known yet; what is longer pushes the rest to the right."""


def watch_job(job_id: str, form: str) -> None:
    """Until the job is finished."""
    with session() as server:
        for kind, data in server.iterate(server.calls.watch(job_id, "finished", None)):
            if kind == "job":
                _show(data, form)


def watch_list(server: "Session", filters: "Filters", limit: int, form: str) -> NoReturn:
    """What is there, oldest first, then each change; it never ends by itself."""
    told: dict[str, object] = {}
    outage = server.calls.outage()
    while True:
        jobs = list(server.iterate(server.calls.list(filters, limit, outage)))
        for job in changed(jobs, told):
            _show(job, form)
        time.sleep(_POLL)


def changed(jobs: "Sequence[Json]", told: dict[str, object]) -> "list[Json]":
    """Those, oldest first, that are new or in another state than `told` has them; it is brought up to date."""
    fresh = []
    for job in reversed(jobs):
        attempt = job["attempt"]
        now = (attempt["number"], attempt["version"], job["stop"] is not None, job["finished_at"])
        if told.get(job["id"]) != now:
            told[job["id"]] = now
            fresh.append(job)
    return fresh


def _show(job: "Json", form: str) -> None:
    if form == "json":
        click.echo(json.dumps(job))
    elif form == "yaml":
        import yaml

        click.echo(f"---\n{yaml.safe_dump(job, sort_keys=False)}", nl=False)
    elif form == "name":
        click.echo(clean(job["id"]))
    else:
        click.echo(_line((wide_row if form == "wide" else row)(job, datetime.now(UTC))))


def _line(cells: Sequence[str]) -> str:
    shown = [clean(cell) or "-" for cell in cells]
    padded = [cell.ljust(width) for cell, width in zip(shown, _WIDTHS, strict=False)] + shown[len(_WIDTHS) :]
    padded[1] = cut(shown[1], _WIDTHS[1]).ljust(_WIDTHS[1])
    padded[2] = padded[2].replace(shown[2], coloured_state(shown[2]), 1)
    return "  ".join(padded).rstrip()
