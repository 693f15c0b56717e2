"""Requests about many jobs at once, and what became of each."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from dartjobs.models.job import Attempt, Job, Record
from dartjobs.models.problem import Problem

MOST_AT_ONCE = 1_000
"""Items of one request."""


class BatchRequest(Record):
    """Specifications to submit, each on its own: one that is refused does not hinder the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_AT_ONCE, description="Each a JobSpec.")


class BatchItem(Record):
    """What became of one item: a job, or the problem that refused it."""

    job: Job | None = None
    problem: Problem | None = None


class BatchResult(Record):
    """In the order of the request."""

    items: list[BatchItem]


class StopManyRequest(Record):
    """The body of a stop of all jobs that match the query's filters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, StringConstraints(max_length=1_024)] = ""


class StopManyResult(Record):
    """One page of what was asked to stop."""

    items: list[str] = Field(description="Ids of the jobs for which the stop is recorded.")
    next_cursor: str | None = Field(default=None, description="Ask again with it; null: every match was asked.")


class AttemptList(Record):
    """A job's attempts, oldest first."""

    items: list[Attempt]
