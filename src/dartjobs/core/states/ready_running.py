"""READY, RUNNING: the driver runs; see its end, or stop it."""

from dartjobs.core import outcome
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import begin_to_stop, gone, head_lost, head_lost_move, look_again, stop_cause
from dartjobs.core.world import Decision, RayJobStatus, View
from dartjobs.models.reason import Reason


def decide(view: View, policy: Policy) -> Decision:
    """The runner's report first, then a stop, then what became of the head; silence concludes nothing."""
    over = outcome.of_evidence(view)
    if over is not None:
        return over
    cause = stop_cause(view)
    if cause is not None:
        return begin_to_stop(view, cause)
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.ask)
    if gone(view):
        return outcome.failed(view, Reason.RESOURCES_DELETED, "The Ray cluster was deleted while the job ran.")
    if head_lost(view):
        return head_lost_move(view, "The head of the Ray cluster died while the job ran.")
    if seen.ray_job is None:
        return look_again(view, policy, policy.watch)
    if seen.ray_job.status is RayJobStatus.ABSENT:
        return outcome.failed(view, Reason.HEAD_LOST, "The head no longer knows the driver that ran on it.")
    return outcome.of_ray(view, seen.ray_job) or look_again(view, policy, policy.ask)
