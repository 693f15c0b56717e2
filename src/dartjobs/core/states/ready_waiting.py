"""READY, WAITING: submit the driver once, and see it start."""

from dartjobs.core import deadlines, outcome
from dartjobs.core.policy import Policy
from dartjobs.core.states.common import (
    before_the_driver,
    begin_to_stop,
    gone,
    head_lost,
    head_lost_move,
    look_again,
    pace,
    stop_cause,
)
from dartjobs.core.world import Act, Decision, Move, RayJobStatus, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState


def decide(view: View, policy: Policy) -> Decision:
    """Before the submit intent everything may be given up; after it, only evidence counts."""
    if view.attempt.submit_intent is None:
        return _before_the_intent(view, policy)
    return _started(view) or outcome.of_evidence(view) or _stop(view, policy) or _after_the_intent(view, policy)


def _before_the_intent(view: View, policy: Policy) -> Decision:
    over = before_the_driver(view)
    if over is not None:
        return over
    seen = view.observation
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if gone(view):
        return outcome.failed(
            view, Reason.RESOURCES_DELETED, "The Ray cluster was deleted before the driver was submitted."
        )
    if seen.failure is not None:
        return outcome.failed(view, seen.failure.reason, seen.failure.message)
    if deadlines.is_over(deadlines.state_deadline(view, policy), view.now):
        return outcome.failed(view, Reason.START_TIMEOUT, _too_late(view))
    return Act.SUBMIT if seen.head_answers else look_again(view, policy, pace(view, policy))


def _after_the_intent(view: View, policy: Policy) -> Decision:
    seen, attempt = view.observation, view.attempt
    if not seen.reachable:
        return look_again(view, policy, policy.unreachable)
    if gone(view):
        return outcome.failed(view, Reason.RESOURCES_DELETED, "The Ray cluster was deleted before the driver started.")
    if head_lost(view):
        return head_lost_move(view, "The head to which the driver was submitted is gone.")
    if seen.ray_job is None:
        return look_again(view, policy, pace(view, policy))
    if seen.ray_job.status is RayJobStatus.ABSENT:
        if attempt.driver_seen_at is None:
            return Act.RESUBMIT
        return outcome.failed(view, Reason.HEAD_LOST, "The head no longer knows the driver that was submitted to it.")
    return (
        outcome.of_ray(view, seen.ray_job)
        or (Act.RECORD_SEEN if attempt.driver_seen_at is None else None)
        or look_again(view, policy, pace(view, policy))
    )


def _started(view: View) -> Move | None:
    start = view.evidence.start
    if start is None:
        return None
    target = Pair(ResourceState.READY, JobState.RUNNING)
    changes = {"driver_started_at": start.at, "driver_seen_at": view.attempt.driver_seen_at or start.at}
    return Move(target, Reason.DRIVER_STARTED, "", {"head_uid": start.head_uid}, changes)


def _stop(view: View, policy: Policy) -> Move | None:
    cause = stop_cause(view)
    if cause is None and deadlines.is_over(deadlines.state_deadline(view, policy), view.now) and _runs(view):
        changes = {"driver_started_at": view.now, "driver_seen_at": view.attempt.driver_seen_at or view.now}
        target = Pair(ResourceState.READY, JobState.RUNNING)
        return Move(target, Reason.DRIVER_STARTED, "", {"ray_status": RayJobStatus.RUNNING}, changes)
    if cause is None and deadlines.is_over(deadlines.state_deadline(view, policy), view.now):
        cause = Reason.START_TIMEOUT
    return None if cause is None else begin_to_stop(view, cause)


def _runs(view: View) -> bool:
    """Ray says so, of the right head: the net where the runner's start report never came through."""
    job = view.observation.ray_job
    return job is not None and job.status is RayJobStatus.RUNNING and not head_lost(view)


def _too_late(view: View) -> str:
    return f"The driver could not be submitted within {view.spec.timeouts.starting}."
