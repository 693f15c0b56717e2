"""READY, SUCCEEDED or FAILED: the cluster is kept for its TTL, for debugging."""

from dartjobs.core import deadlines
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import gone, look_again
from dartjobs.core.world import Decision, Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """Let it go when its time is over, or when it has gone by itself."""
    target = Pair(ResourceState.TERMINATING, view.attempt.job_state)
    if deadlines.is_over(deadlines.state_deadline(view, policy), view.now):
        return Move(target, Reason.TTL_OVER)
    if view.observation.reachable and gone(view):
        return Move(target, Reason.RESOURCES_DELETED)
    return look_again(view, policy, policy.watch)
