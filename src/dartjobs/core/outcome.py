"""What may be concluded from what is seen: the evidence table, in its order, as functions."""

from typing import Any

from dartjobs.core.retries import REQUEUES
from dartjobs.core.world import Exited, Move, RayJob, RayJobStatus, View
from dartjobs.models.reason import Category, Reason
from dartjobs.models.state import JobState, Pair, ResourceState

WRONG_HEAD = 97
"""The runner's exit code on a head that is not the one of the submit intent."""
_STARTABLE = {126, 127}
_STOPS = {Reason.USER_STOP, *REQUEUES}
_RAY_ERRORS = {
    "RUNTIME_ENV_SETUP_FAILURE": Reason.RUNTIME_ENV_FAILED,
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": Reason.DRIVER_UNSCHEDULABLE,
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": Reason.START_TIMEOUT,
    "JOB_SUPERVISOR_ACTOR_START_FAILURE": Reason.HEAD_FAILED,
    "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE": Reason.HEAD_FAILED,
    "JOB_SUPERVISOR_ACTOR_DIED": Reason.HEAD_LOST,
    "JOB_ENTRYPOINT_COMMAND_START_ERROR": Reason.ENTRYPOINT_FAILED,
}
"""Ray's `JobErrorType` (ray.dashboard.modules.job.common, Ray 2.60) and what each is to us."""


def of_evidence(view: View) -> Move | None:
    """The end that the runner reported, if it did."""
    exited = view.evidence.exit
    if exited is None:
        return None
    if exited.stopping and view.attempt.stop_cause is not None:
        return stopped(view, "the driver ended after it was asked to stop", exited=exited)
    return _of_exit(view, exited)


def of_ray(view: View, job: RayJob) -> Move | None:
    """The end that Ray reports for the driver, read from the head of the submit intent; None while it goes on."""
    evidence = {"ray_status": job.status, "ray_message": job.message[-2_000:], "error_type": job.error_type}
    match job.status:
        case RayJobStatus.SUCCEEDED:
            return ended(view, JobState.SUCCEEDED, Reason.COMPLETED, evidence=evidence, exit_code=0)
        case RayJobStatus.FAILED:
            code, reason = job.exit_code, _reason_of_ray(view, job)
            if code is not None and code < 0:
                code, reason = 128 - code, Reason.DRIVER_KILLED
            return failed(view, reason, job.message[-2_000:], evidence=evidence, exit_code=code)
        case RayJobStatus.STOPPED:
            message = "Ray says that the driver was stopped, and this platform had not asked for it."
            return failed(view, Reason.DRIVER_KILLED, message, evidence=evidence)
        case RayJobStatus.PENDING | RayJobStatus.RUNNING | RayJobStatus.ABSENT:
            return None


def stopped(view: View, proof: str, *, exited: Exited | None = None) -> Move:
    """The outcome of the stop's cause: FAILED for a timeout, else STOPPED. A user's stop beats a requeue."""
    cause = view.attempt.stop_cause or Reason.USER_STOP
    if cause in REQUEUES and view.stop is not None:
        cause = Reason.USER_STOP
    state = JobState.STOPPED if cause in _STOPS else JobState.FAILED
    extra: dict[str, Any] = {} if exited is None else {"exit_code": exited.code, "signal": exited.signal}
    return ended(view, state, cause, stop_message(view, cause), evidence={"proof": proof}, **extra)


def failed(
    view: View,
    reason: Reason,
    message: str = "",
    *,
    evidence: dict[str, Any] | None = None,
    exit_code: int | None = None,
) -> Move:
    """FAILED for this reason."""
    return ended(view, JobState.FAILED, reason, message, evidence=evidence, exit_code=exit_code)


def ended(
    view: View,
    state: JobState,
    reason: Reason,
    message: str = "",
    *,
    evidence: dict[str, Any] | None = None,
    **changes: Any,
) -> Move:
    """The move to an outcome: the cluster is kept only where the spec asks for it and something can be debugged."""
    kept = (
        view.attempt.resource_state is ResourceState.READY
        and bool(view.spec.ttl_after_finished)
        and state in {JobState.SUCCEEDED, JobState.FAILED}
        and reason.category in {None, Category.USER, Category.USER_ENV}
    )
    resource = ResourceState.READY if kept else ResourceState.TERMINATING
    return Move(Pair(resource, state), reason, message, evidence or {}, changes)


def stop_message(view: View, cause: Reason) -> str:
    """Who asked, or which deadline passed, for the job's user."""
    if cause is Reason.USER_STOP and view.stop is not None:
        return _by("Stopped", view.stop.by, view.stop.reason)
    if cause is Reason.REQUEUED and view.requeue is not None:
        return _by("Sent back to the queue", view.requeue.by, view.requeue.reason)
    if cause is Reason.JOB_TIMEOUT:
        return f"The job's timeout of {view.spec.timeouts.job} is over."
    return ""


def _by(what: str, who: str, why: str) -> str:
    return f"{what} by {who}" + (f": {why}" if why else ".")


def _of_exit(view: View, exited: Exited) -> Move:
    evidence = {"exit": {"code": exited.code, "signal": exited.signal, "stopping": exited.stopping}}
    if exited.error:
        return _failed_with(view, exited, Reason.ENTRYPOINT_FAILED, exited.error, evidence)
    if exited.signal:
        message = f"{exited.signal} ended the entrypoint."
        return _failed_with(view, exited, Reason.DRIVER_KILLED, message, evidence)
    if exited.code:
        hint = " (a shell's code for a program that it could not start)" if exited.code in _STARTABLE else ""
        message = f"The entrypoint exited with code {exited.code}{hint}."
        return _failed_with(view, exited, Reason.DRIVER_FAILED, message, evidence)
    return ended(view, JobState.SUCCEEDED, Reason.COMPLETED, evidence=evidence, exit_code=0)


def _failed_with(view: View, exited: Exited, reason: Reason, message: str, evidence: dict[str, Any]) -> Move:
    return ended(view, JobState.FAILED, reason, message, evidence=evidence, exit_code=exited.code, signal=exited.signal)


def _reason_of_ray(view: View, job: RayJob) -> Reason:
    if job.exit_code == WRONG_HEAD and view.evidence.start is None and view.attempt.driver_started_at is None:
        return Reason.HEAD_LOST
    if job.error_type in _RAY_ERRORS:
        return _RAY_ERRORS[job.error_type]
    return Reason.DRIVER_FAILED if job.exit_code is not None else Reason.HEAD_LOST
