"""The three tiers of timeouts: the job's, the state's, the finished cluster's. All in the database's time."""

from datetime import datetime, timedelta

from dartjobs.core.policy import Policy
from dartjobs.core.world import View
from dartjobs.models.state import JobState, Pair, ResourceState


def job_deadline(view: View) -> datetime | None:
    """When the job's total time is over; never moved by anything. None: never."""
    limit = view.spec.timeouts.job
    return None if limit is None else view.submitted_at + limit


def state_deadline(view: View, policy: Policy) -> datetime | None:
    """When the time in the present state is over, moved by the time in which its cluster could not be seen."""
    limit = _state_limit(view, policy)
    if limit is None:
        return None
    blind = timedelta(seconds=max(0.0, view.blind_seconds - view.attempt.blind_at_entry))
    begin = max(view.attempt.entered_at, view.attempt.not_before or view.attempt.entered_at)
    return begin + limit + blind


def is_over(deadline: datetime | None, now: datetime) -> bool:
    """Whether a deadline has passed."""
    return deadline is not None and now >= deadline


def soonest(first: datetime, *others: datetime | None) -> datetime:
    """The earliest of those that exist."""
    return min([first, *(other for other in others if other is not None)])


def _state_limit(view: View, policy: Policy) -> timedelta | None:
    spec = view.spec
    match view.attempt.pair:
        case Pair(ResourceState.QUEUED, _):
            return spec.timeouts.queued
        case Pair(ResourceState.CREATING, _):
            return spec.timeouts.creating
        case Pair(ResourceState.READY, JobState.WAITING):
            return spec.timeouts.starting
        case Pair(ResourceState.READY, JobState.SUCCEEDED | JobState.FAILED):
            return spec.ttl_after_finished
        case Pair(ResourceState.TERMINATING, JobState.STOPPING):
            return max(spec.timeouts.stopping, spec.stop_grace_period + policy.stop_margin)
        case _:
            return None
