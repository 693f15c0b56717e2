"""CREATING, WAITING: bring up the Ray cluster, and fail fast where it cannot come up."""

from dartjobs.core import deadlines, outcome
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import before_the_driver, gone, look_again, pace
from dartjobs.core.world import Act, Decision, Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """Stop, fail, create, or go on to READY."""
    over = before_the_driver(view)
    if over is not None:
        return over
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if gone(view):
        return outcome.failed(view, Reason.RESOURCES_DELETED, "The Ray cluster was deleted while it came up.")
    if seen.failure is not None:
        return outcome.failed(view, seen.failure.reason, seen.failure.message)
    if seen.head_answers:
        target = Pair(ResourceState.READY, JobState.WAITING)
        evidence = {"cluster_uid": seen.cluster_uid, "head_uid": seen.head_uid}
        return Move(target, Reason.HEAD_READY, "", evidence, {"cluster_uid": seen.cluster_uid})
    if deadlines.is_over(deadlines.state_deadline(view, policy), view.now):
        limit = view.spec.timeouts.creating
        return outcome.failed(
            view, Reason.CREATING_TIMEOUT, f"The head of the Ray cluster did not answer within {limit}."
        )
    return Act.CREATE if seen.cluster_uid is None else look_again(view, policy, pace(view, policy))
