"""`decide`: what to do next about one attempt. Pure: the same view always gives the same decision."""

from dartjobs.core.policy import Policy
from dartjobs.core.states import (
    creating_waiting,
    queued_waiting,
    ready_final,
    ready_running,
    ready_waiting,
    terminating_final,
    terminating_stopping,
)
from dartjobs.core.world import Decision, Evidence, View
from dartjobs.models.job import Attempt
from dartjobs.models.state import JobState, Pair, ResourceState

_R, _J = ResourceState, JobState


def decide(view: View, policy: Policy) -> Decision:
    """One move to record, one act to do, or a time until which to wait.

    Raises:
        ValueError: the attempt is TERMINATED (nothing is left to decide) or in no legal pair.
    """
    match view.attempt.pair:
        case Pair(_R.QUEUED, _J.WAITING):
            return queued_waiting.decide(view, policy)
        case Pair(_R.CREATING, _J.WAITING):
            return creating_waiting.decide(view, policy)
        case Pair(_R.READY, _J.WAITING):
            return ready_waiting.decide(view, policy)
        case Pair(_R.READY, _J.RUNNING):
            return ready_running.decide(view, policy)
        case Pair(_R.READY, _J.SUCCEEDED | _J.FAILED):
            return ready_final.decide(view, policy)
        case Pair(_R.TERMINATING, _J.STOPPING):
            return terminating_stopping.decide(view, policy)
        case Pair(_R.TERMINATING, _J.SUCCEEDED | _J.FAILED | _J.STOPPED):
            return terminating_final.decide(view, policy)
        case pair:
            msg = f"nothing can be decided in {pair}"
            raise ValueError(msg)


def must_ask_ray(attempt: Attempt, evidence: Evidence, view_age: float, policy: Policy) -> bool:
    """Whether Ray's own status is needed: before the start, on a stop, and when the runner has fallen silent.

    Args:
        attempt: as the store has it.
        evidence: what the runner reported so far.
        view_age: seconds since the runner's last sign of life, or since the entry into the state without one.
        policy: the installation's.
    """
    if attempt.submit_intent is None or evidence.exit is not None:
        return False
    if attempt.job_state is JobState.RUNNING:
        return view_age > policy.heartbeat_silence.total_seconds()
    return (
        attempt.job_state in {JobState.WAITING, JobState.STOPPING}
        and attempt.resource_state is not ResourceState.QUEUED
    )
