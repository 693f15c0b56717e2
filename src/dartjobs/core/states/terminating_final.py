"""TERMINATING with an outcome: keep the log, delete everything, and end only on proof that nothing is left."""

from dartjobs.core.policy import Policy
from dartjobs.core.states.common import look_again, nothing_more_will_come, pace
from dartjobs.core.world import Act, Decision, Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """The log first, then the deletion, then the proof; the outcome itself never changes here."""
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if view.evidence.log_end is None:
        return Act.SEAL_LOG if nothing_more_will_come(view, policy) else look_again(view, policy, pace(view, policy))
    if seen.leftovers:
        return Act.DELETE
    return Move(Pair(ResourceState.TERMINATED, view.attempt.job_state), Reason.DELETED, "", {"leftovers": False})
