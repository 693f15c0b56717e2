"""What goes to stdout: data, in the form that was asked for."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import BaseModel

from dartjobs.cli.text import clean, short, table
from dartjobs.models.job import Job

_HEAD = ("ID", "NAME", "STATE", "REASON", "CLUSTER", "USER", "AGE", "DURATION")


def show_jobs(jobs: Sequence[Job], form: str) -> None:
    """A list of jobs; the empty list is `[]`, and as a table its head alone."""
    if form == "name":
        _lines(job.id for job in jobs)
    elif form == "table":
        now = datetime.now(UTC)
        click.echo(table(_HEAD, [_row(job, now) for job in jobs]))
    else:
        show_data([as_data(job) for job in jobs], form)


def show_named_jobs(jobs: Sequence[Job], form: str, *, named: int = 1) -> None:
    """Jobs that were asked for by id, of which `named` were; where that is one, it is shown as no list."""
    if len(jobs) == named == 1 and form in {"json", "yaml"}:
        show_data(as_data(jobs[0]), form)
    else:
        show_jobs(jobs, form)


def show_data(data: object, form: str) -> None:
    """JSON or YAML, in ASCII: what others wrote into it cannot reach a terminal as a control sequence."""
    if form == "json":
        click.echo(json.dumps(data, indent=2))
    else:
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)


def as_data(model: BaseModel) -> dict[str, Any]:
    """A model as the API writes it."""
    return model.model_dump(mode="json", by_alias=True)


def age(job: Job, now: datetime) -> str:
    """Since its submission."""
    return short(now - job.submitted_at)


def duration(job: Job, now: datetime) -> str:
    """How long the latest attempt's driver has run; empty where it has not started."""
    started = job.attempt.driver_started_at
    return "" if started is None else short((job.attempt.finished_at or now) - started)


def _row(job: Job, now: datetime) -> tuple[str, ...]:
    attempt = job.attempt
    return (
        job.id,
        job.name,
        job.job_state,
        attempt.reason,
        attempt.cluster or "",
        job.user,
        age(job, now),
        duration(job, now),
    )


def _lines(texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(clean(text))
