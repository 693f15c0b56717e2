"""QUEUED, WAITING: stops and timeouts. Placement is a claim, not a decision on this attempt (see `core.queueing`)."""

from datetime import timedelta

from dartjobs.core import deadlines, outcome
from dartjobs.core.policy import Policy
from dartjobs.core.world import Decision, Move, View, Wait
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState

_LOOK = timedelta(hours=1)
"""A net: stops, and clusters that come or change, make it due at once."""


def decide(view: View, policy: Policy) -> Decision:
    """End it where it stands, since nothing was created; else wait."""
    job_deadline, queue_deadline = deadlines.job_deadline(view), deadlines.state_deadline(view, policy)
    if view.stop is not None:
        return _end(JobState.STOPPED, Reason.USER_STOP, outcome.stop_message(view, Reason.USER_STOP))
    if deadlines.is_over(job_deadline, view.now):
        return _end(JobState.FAILED, Reason.JOB_TIMEOUT, outcome.stop_message(view, Reason.JOB_TIMEOUT))
    if deadlines.is_over(queue_deadline, view.now):
        return _end(JobState.FAILED, Reason.QUEUED_TIMEOUT, f"No cluster had room within {view.spec.timeouts.queued}.")
    if view.impossible is not None:
        return _end(JobState.FAILED, Reason.EXCEEDS_CAPACITY, view.impossible)
    return Wait(deadlines.soonest(view.now + _LOOK, job_deadline, queue_deadline))


def _end(state: JobState, reason: Reason, message: str) -> Move:
    return Move(Pair(ResourceState.TERMINATED, state), reason, message, {"never_created": True})
