"""TERMINATING, STOPPING: stop the driver, and believe in its end only on proof."""

from dartjobs.core import deadlines, outcome
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import gone, head_lost, look_again, pace
from dartjobs.core.world import Act, Decision, RayJobStatus, View

_OVER = {RayJobStatus.STOPPED, RayJobStatus.SUCCEEDED, RayJobStatus.FAILED}


def decide(view: View, policy: Policy) -> Decision:
    """Ask Ray, wait for the end, and delete the head under a driver that does not end."""
    over = outcome.of_evidence(view)
    if over is not None:
        return over
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if gone(view) or head_lost(view):
        return outcome.stopped(view, "killed with its head")
    if seen.ray_job is not None and seen.ray_job.status in _OVER:
        return outcome.stopped(view, f"Ray says {seen.ray_job.status}")
    too_late = deadlines.is_over(deadlines.state_deadline(view, policy), view.now)
    if too_late or (seen.ray_job is not None and seen.ray_job.status is RayJobStatus.ABSENT):
        return Act.KILL_HEAD
    sent = view.attempt.stop_sent_at
    if sent is None or view.now - sent >= policy.stop_repeat:
        return Act.STOP_DRIVER
    return look_again(view, policy, pace(view, policy))
