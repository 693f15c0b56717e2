"""Following and waiting: data to stdout, what happens to stderr, and a way back after Ctrl-C."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dartjobs.cli import exit_codes
from dartjobs.cli.describe import meaning, outcome
from dartjobs.cli.options import session
from dartjobs.cli.text import Cleaner, clean, stdout_is_terminal
from dartjobs.client.effects import Json
from dartjobs.client.logs import Place
from dartjobs.client.session import Session
from dartjobs.models.state import FINAL

if TYPE_CHECKING:
    from datetime import timedelta


def wait_for(
    job_ids: Sequence[str], timeout: "timedelta | None" = None, finished: list[Json] | None = None
) -> list[Json]:
    """Wait quietly until each is finished; changes of state go to stderr, and at last each one's outcome.

    `finished` has those that are, also where an error breaks the rest off.
    """
    jobs = [] if finished is None else finished
    with _detaching(job_ids), session() as server:
        deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
        for job_id in job_ids[1:]:
            server.run(server.calls.get(job_id))  # a name that is wrong is told now, not after hours
        for job_id in job_ids:
            reporter = Reporter()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for event in server.iterate(server.calls.watch(job_id, "finished", left)):
                reporter.see(event)
            jobs.append(reporter.finished())
        return jobs


def follow(job_id: str, *, attempt: int | None, tail: int | None, raw: bool) -> Json:
    """Copy the log to stdout as it grows, until the job is finished."""
    writer = LogWriter(raw=raw)
    with _detaching([job_id]), session() as server:
        reporting = _Reporting(server, job_id)
        try:
            for piece in server.iterate(server.calls.follow(job_id, Place(attempt, tail=tail), None)):
                writer.write(piece)
        finally:
            writer.finish()
        return reporting.finished()


def exit_as(jobs: Sequence[Json]) -> None:
    """Exit as the first did that did not succeed.

    Raises:
        Exit: always.
    """
    codes = map(exit_codes.of_job, jobs)
    raise click.exceptions.Exit(next(filter(None, codes), 0))


class LogWriter:
    """Writes a log to stdout: byte for byte, but to a terminal without what it would obey, unless `raw`."""

    def __init__(self, *, raw: bool) -> None:
        self._cleaner = None if raw or not stdout_is_terminal() else Cleaner()

    def write(self, piece: bytes) -> None:
        """At once, whoever reads."""
        sys.stdout.buffer.write(self._cleaner.feed(piece) if self._cleaner else piece)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """What a cleaner still holds."""
        if self._cleaner:
            sys.stdout.buffer.write(self._cleaner.finish())
            sys.stdout.buffer.flush()


class Reporter:
    """Tells what happens to a job on stderr: where it is when we come, then each move, at last its outcome."""

    def __init__(self) -> None:
        self._last: Json | None = None
        self._job: Json | None = None
        self._why = ""

    def see(self, event: tuple[str, Json]) -> None:
        """Tell what is new. An end is told as the outcome, unless another attempt follows it."""
        kind, data = event
        if kind == "job":
            if self._job is None and data["finished_at"] is None:
                self._tell_last()
            self._job = data
            self._tell_why(data.get("why", ""))
            return
        if self._last is not None and data["attempt"] < self._last["attempt"]:
            return
        if self._job is not None and self._last is not None and data["attempt"] > self._last["attempt"]:
            self._tell_last()
        self._last = data
        if self._job is not None and data["job_state"] not in FINAL:
            self._tell_last()

    def finished(self) -> Json:
        """The job as it was last, with its outcome told."""
        if self._job is None:
            msg = "a watch ends with a job"
            raise AssertionError(msg)
        click.echo(outcome(self._job), err=True)
        return self._job

    def _tell_last(self) -> None:
        one = self._last
        if one is not None:
            attempt = f"attempt {one['attempt']}: " if one["attempt"] > 1 else ""
            text = one["message"] or meaning(one["reason"])
            click.echo(clean(f"{attempt}{one['resource_state']}, {one['job_state']}: {text}"), err=True)

    def _tell_why(self, why: str) -> None:
        if why and why != self._why:
            click.echo(f"  {clean(why)}", err=True)
        self._why = why


class _Reporting:
    """A reporter in a thread of its own, beside the log. It dies with the program."""

    def __init__(self, server: Session, job_id: str) -> None:
        self._events = server.iterate(server.calls.watch(job_id, "finished", None))
        self._reporter = Reporter()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def finished(self) -> Json:
        """Wait for the job's end.

        Raises:
            DartJobsError: the server was lost for too long.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._reporter.finished()

    def _report(self) -> None:
        try:
            for event in self._events:
                self._reporter.see(event)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error


@contextmanager
def _detaching(job_ids: Sequence[str]) -> Iterator[None]:
    """On Ctrl-C leave at once; the jobs go on, and we say how to come back."""
    try:
        yield
    except KeyboardInterrupt:
        names = clean(" ".join(job_ids))
        back = f"dartjobs logs {names} --follow" if len(job_ids) == 1 else f"dartjobs wait {names}"
        click.echo(f"\nDetached; the job goes on.\nCome back:  {back}\nStop it:    dartjobs stop {names}", err=True)
        raise click.exceptions.Exit(exit_codes.INTERRUPTED) from None
