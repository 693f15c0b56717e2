"""`dartjobs describe`."""

from typing import Any

import click

from dartjobs.cli.options import connection_options, job_argument, output_option, session


@click.command
@job_argument()
@output_option("table", "json", "yaml")
@connection_options
def command(job: str, form: str) -> None:
    """Show everything about a job: its explanation, attempts and history."""
    from datetime import UTC, datetime

    from dartjobs.cli import describe
    from dartjobs.cli.output import show_data

    with session() as server:
        calls = server.calls
        found: dict[str, Any] = {
            "job": server.run(calls.get(job)),
            "explanation": server.run(calls.explain(job)),
            "attempts": server.run(calls.attempts(job)),
            "events": server.run(calls.events(job)),
        }
    if form != "table":
        show_data(found, form)
        return
    now = datetime.now(UTC)
    parts = {
        "": describe.describe(found["job"], now),
        "Explanation": describe.explanation(found["explanation"], now),
        "Attempts": describe.attempts(found["attempts"], now),
        "Events": describe.history(found["events"], now),
    }
    click.echo("\n\n".join(f"{title}\n{text}".lstrip() for title, text in parts.items()))
