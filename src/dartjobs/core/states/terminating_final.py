"""TERMINATING with an outcome: keep the log, delete everything, and end only on proof that nothing is left."""

from dartjobs.core.policy import Policy
from dartjobs.core.states.common import head_lost, look_again
from dartjobs.core.world import Act, Decision, Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """The log first, then the deletion, then the proof; the outcome itself never changes here."""
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if view.evidence.log_end is None:
        return Act.SEAL_LOG if _nothing_more_will_come(view, policy) else look_again(view, policy, policy.poll)
    if seen.leftovers:
        return Act.DELETE
    return Move(Pair(ResourceState.TERMINATED, view.attempt.job_state), Reason.DELETED, "", {"leftovers": False})


def _nothing_more_will_come(view: View, policy: Policy) -> bool:
    waited = view.now - view.attempt.entered_at
    return view.attempt.submit_intent is None or head_lost(view) or waited >= policy.log_grace
