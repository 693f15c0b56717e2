"""What several composite states ask alike."""

from datetime import timedelta

from dartjobs.core import deadlines, outcome
from dartjobs.core.policy import Policy
from dartjobs.core.world import Move, View, Wait
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState


def gone(view: View) -> bool:
    """Whether the Ray cluster whose UID we recorded is no longer there, or is another one."""
    recorded = view.attempt.cluster_uid
    return recorded is not None and view.observation.cluster_uid != recorded


def head_lost(view: View) -> bool:
    """Whether the head that the submit intent names is no longer there, or is another one."""
    intent = view.attempt.submit_intent
    return intent is not None and view.observation.head_uid != intent.head_uid


def head_lost_move(view: View, message: str) -> Move:
    """HEAD_LOST, with the head's own last words where they are known."""
    failure = view.observation.failure
    words = f"{message} {failure.message}" if failure is not None else message
    return outcome.failed(view, Reason.HEAD_LOST, words)


def nothing_more_will_come(view: View, policy: Policy) -> bool:
    """Whether the log has ended although its runner has not said so."""
    waited = view.now - view.attempt.entered_at
    return view.attempt.submit_intent is None or head_lost(view) or waited >= policy.log_grace


def stop_cause(view: View) -> Reason | None:
    """Why the attempt should be stopped now, if it should."""
    if view.stop is not None:
        return Reason.USER_STOP
    if deadlines.is_over(deadlines.job_deadline(view), view.now):
        return Reason.JOB_TIMEOUT
    if view.requeue is not None and view.requeue.attempt == view.attempt.number:
        return Reason.REQUEUED
    return None


def before_the_driver(view: View) -> Move | None:
    """The end of an attempt that is to be stopped and whose driver was certainly never submitted."""
    cause = stop_cause(view)
    if cause is None:
        return None
    state = JobState.FAILED if cause is Reason.JOB_TIMEOUT else JobState.STOPPED
    evidence = {"driver": "never submitted"}
    return outcome.ended(view, state, cause, outcome.stop_message(view, cause), evidence=evidence)


def begin_to_stop(view: View, cause: Reason) -> Move:
    """The move to TERMINATING, STOPPING."""
    target = Pair(ResourceState.TERMINATING, JobState.STOPPING)
    return Move(target, cause, outcome.stop_message(view, cause), {}, {"stop_cause": cause})


def pace(view: View, policy: Policy) -> timedelta:
    """Until the next look at something that comes up or goes down: the longer it takes, the rarer."""
    return max(policy.poll, min(policy.slowest_poll, (view.now - view.attempt.entered_at) / 20))


def look_again(view: View, policy: Policy, after: timedelta) -> Wait:
    """Wait for so long, but not past a deadline."""
    limits = deadlines.job_deadline(view), deadlines.state_deadline(view, policy)
    coming = [limit for limit in limits if limit is not None and limit > view.now]
    return Wait(deadlines.soonest(view.now + after, *coming))
