"""What goes to stdout: data, in the form that was asked for."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from dartjobs.cli.tables import table
from dartjobs.cli.text import clean
from dartjobs.cli.times import parsed, short
from dartjobs.client.effects import Json

_HEAD = ("ID", "NAME", "STATE", "REASON", "CLUSTER", "USER", "AGE", "DURATION")
_WIDE = (*_HEAD, "ATTEMPT", "RESOURCES", "PRIORITY", "LABELS", "WHY")


def show_jobs(jobs: Sequence[Json], form: str) -> None:
    """A list of jobs; the empty list is `[]`, and as a table its head alone."""
    if form == "name":
        _lines(job["id"] for job in jobs)
    elif form in {"table", "wide"}:
        now = datetime.now(UTC)
        head, row_of = (_HEAD, row) if form == "table" else (_WIDE, wide_row)
        click.echo(table(head, [row_of(job, now) for job in jobs]))
    else:
        show_data(jobs, form)


def show_named_jobs(jobs: Sequence[Json], form: str, *, named: int = 1) -> None:
    """Jobs that were asked for by id, of which `named` were; where that is one, it is shown as no list."""
    if not jobs and form in {"table", "wide"}:
        return
    if len(jobs) == named == 1 and form in {"json", "yaml"}:
        show_data(jobs[0], form)
    else:
        show_jobs(jobs, form)


def show_data(data: object, form: str) -> None:
    """JSON or YAML, in ASCII: what others wrote into it cannot reach a terminal as a control sequence."""
    if form == "json":
        click.echo(json.dumps(data, indent=2))
    else:
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)


def row(job: Json, now: datetime) -> tuple[str, ...]:
    """A line of a list."""
    attempt = job["attempt"]
    return (
        job["id"],
        job["name"],
        attempt["job_state"],
        attempt["reason"],
        attempt["cluster"] or "",
        job["user"],
        short(now - parsed(job["submitted_at"])),
        ran_for(job, now),
    )


def wide_row(job: Json, now: datetime) -> tuple[str, ...]:
    """A line of a wide list."""
    attempt, spec = job["attempt"], job["spec"]
    labels = ",".join(f"{key}={value}" for key, value in spec.get("labels", {}).items())
    states = (str(attempt["number"]), attempt["resource_state"], str(spec.get("priority", 0)))
    return (*row(job, now), *states, labels, job.get("why", ""))


def ran_for(job: Json, now: datetime) -> str:
    """How long the latest attempt's driver has run; empty where it has not started."""
    attempt = job["attempt"]
    if attempt["driver_started_at"] is None:
        return ""
    end = now if attempt["finished_at"] is None else parsed(attempt["finished_at"])
    return short(end - parsed(attempt["driver_started_at"]))


def _lines(texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(clean(text))
