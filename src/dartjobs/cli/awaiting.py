"""Following and waiting: data to stdout, what happens to stderr, and a way back after Ctrl-C."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import click

from dartjobs.cli import exit_codes
from dartjobs.cli.describe import outcome
from dartjobs.cli.options import async_client, client
from dartjobs.cli.text import Cleaner, clean, stdout_is_terminal
from dartjobs.client.async_client import AsyncClient
from dartjobs.models.job import Job, Transition
from dartjobs.models.reason import FACTS


def wait_for(job_ids: Sequence[str], timeout: timedelta | None = None) -> list[Job]:
    """Wait quietly until each is finished; changes of state go to stderr, and at last each one's outcome."""
    with _detaching(job_ids), client() as server:
        deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
        jobs = []
        for job_id in job_ids:
            reporter = Reporter()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for event in server.watch(job_id, timeout=left):
                reporter.see(event)
            jobs.append(reporter.finished())
        return jobs


def follow(job_id: str, *, attempt: int | None, tail: int | None, raw: bool) -> Job:
    """Copy the log to stdout as it grows, until the job is finished."""
    with _detaching([job_id]):
        return asyncio.run(_follow(job_id, attempt, tail, LogWriter(raw=raw)))


def exit_as(jobs: Sequence[Job]) -> None:
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
        self._last: Transition | None = None
        self._job: Job | None = None
        self._why = ""

    def see(self, event: Transition | Job) -> None:
        """Tell what is new. An end is told as the outcome, unless another attempt follows it."""
        if isinstance(event, Job):
            if self._job is None and event.finished_at is None:
                self._tell_last()
            self._job = event
            self._tell_why(event.why)
            return
        if self._last is not None and event.attempt < self._last.attempt:
            return
        if self._job is not None and self._last is not None and event.attempt > self._last.attempt:
            self._tell_last()
        self._last = event
        if self._job is not None and not event.job_state.is_final:
            self._tell_last()

    def finished(self) -> Job:
        """The job as it was last, with its outcome told."""
        if self._job is None:
            msg = "a watch ends with a job"
            raise AssertionError(msg)
        click.echo(outcome(self._job), err=True)
        return self._job

    def _tell_last(self) -> None:
        one = self._last
        if one is not None:
            attempt = f"attempt {one.attempt}: " if one.attempt > 1 else ""
            text = one.message or FACTS[one.reason].meaning
            click.echo(clean(f"{attempt}{one.resource_state}, {one.job_state}: {text}"), err=True)

    def _tell_why(self, why: str) -> None:
        if why and why != self._why:
            click.echo(f"  {clean(why)}", err=True)
        self._why = why


async def _follow(job_id: str, attempt: int | None, tail: int | None, writer: LogWriter) -> Job:
    async with async_client() as server:
        try:
            async with asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(_report(server, job_id))
                tasks.create_task(_copy(server, job_id, attempt, tail, writer))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
    reporter = reporting.result()
    return reporter.finished()


async def _report(server: AsyncClient, job_id: str) -> Reporter:
    reporter = Reporter()
    async for event in server.watch(job_id):
        reporter.see(event)
    return reporter


async def _copy(server: AsyncClient, job_id: str, attempt: int | None, tail: int | None, writer: LogWriter) -> None:
    try:
        async for piece in server.follow(job_id, attempt=attempt, tail=tail):
            writer.write(piece)
    finally:
        writer.finish()


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
