"""`decide`: what to do next about one attempt. Pure: the same view always gives the same decision."""

from dataclasses import replace
from datetime import timedelta

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
from dartjobs.core.states.common import stop_cause
from dartjobs.core.world import UNREACHABLE, Decision, Evidence, Move, View
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
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


def by_news(view: View, policy: Policy) -> Move | None:
    """The move to which a report or an intent leads by itself, whatever would be seen of the cluster."""
    reported = view.evidence.exit is not None or (
        view.evidence.start is not None and view.attempt.job_state is JobState.WAITING
    )
    if not reported and stop_cause(view) in {None, Reason.JOB_TIMEOUT}:
        return None
    decision = decide(replace(view, observation=UNREACHABLE), policy)
    return decision if isinstance(decision, Move) else None


def is_silent(evidence: Evidence, gateway_silence: timedelta | None, policy: Policy) -> bool:
    """Whether nothing is heard of a running driver, so that Ray has to be asked.

    Args:
        evidence: what the runner reported so far; one that never reported its start is not heard.
        gateway_silence: since the cluster's gateway said that it listens, but no longer than the driver runs.
        policy: the installation's.
    """
    if evidence.start is None or evidence.silent_since is not None:
        return True
    return gateway_silence is None or gateway_silence > policy.heartbeat_silence


def must_ask_ray(attempt: Attempt, evidence: Evidence, *, silent: bool) -> bool:
    """Whether Ray's own status is needed: before the start, on a stop, and when the runner has fallen silent."""
    if attempt.submit_intent is None or evidence.exit is not None:
        return False
    if attempt.job_state is JobState.RUNNING:
        return silent
    return (
        attempt.job_state in {JobState.WAITING, JobState.STOPPING}
        and attempt.resource_state is not ResourceState.QUEUED
    )
