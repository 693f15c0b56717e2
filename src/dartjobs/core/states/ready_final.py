"""READY, SUCCEEDED or FAILED: the cluster is kept for its TTL, for debugging."""

from dartjobs.core import deadlines
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import gone, look_again, nothing_more_will_come
from dartjobs.core.world import Act, Decision, Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """Let it go when its time is over, or when it has gone by itself."""
    target = Pair(ResourceState.TERMINATING, view.attempt.job_state)
    if view.superseded or deadlines.is_over(deadlines.state_deadline(view, policy), view.now):
        return Move(target, Reason.TTL_OVER)
    if view.observation.reachable and gone(view):
        return Move(target, Reason.RESOURCES_DELETED)
    if view.observation.reachable and view.evidence.log_end is None and nothing_more_will_come(view, policy):
        return Act.SEAL_LOG
    return look_again(view, policy, policy.watch)
