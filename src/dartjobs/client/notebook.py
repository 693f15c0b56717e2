"""How jobs look in a notebook: HTML, in which nothing that others wrote is markup."""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from dartjobs.models.job import Job

_HEAD = ("id", "name", "state", "reason", "cluster", "user", "submitted")


def html_of_job(job: Job) -> str:
    """One job: where it is, why, and what to do."""
    attempt = job.attempt
    rows = [
        ("state", f"{job.job_state} ({attempt.reason})"),
        ("name", job.name),
        ("why", job.why),
        ("message", attempt.message),
        ("advice", attempt.advice),
        ("cluster", attempt.cluster or ""),
        ("attempt", str(attempt.number)),
        ("submitted", f"{_time(job.submitted_at)} by {job.user}"),
        ("finished", _time(job.finished_at) if job.finished_at else ""),
    ]
    lines = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows if text]
    return f"<table><caption>{escape(job.id)}</caption>{''.join(lines)}</table>"


def html_of_jobs(jobs: Iterable[Job], note: str = "") -> str:
    """A row each."""
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(job))}</tr>" for job in jobs)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{escape(note)}"


def _cells(job: Job) -> tuple[str, ...]:
    attempt = job.attempt
    return (
        job.id,
        job.name,
        job.job_state,
        attempt.reason,
        attempt.cluster or "",
        job.user,
        _time(job.submitted_at),
    )


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
