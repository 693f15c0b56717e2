"""Why a job is not running, in a sentence for its user."""

from collections.abc import Iterable

from dartjobs.core import queueing
from dartjobs.models.job import Attempt
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState

_R, _J = ResourceState, JobState


def why_not_running(attempt: Attempt, spec: JobSpec, clusters: Iterable[queueing.ClusterView]) -> str:
    """Empty while it runs and once it is over."""
    match attempt.pair:
        case Pair(_R.QUEUED, _J.WAITING):
            why = queueing.why_queued(spec, clusters)
            if attempt.number > 1 and attempt.not_before is not None:
                return f"Attempt {attempt.number} starts after {attempt.not_before:%H:%M:%S} UTC. {why}"
            return why
        case Pair(_R.CREATING, _J.WAITING):
            return f"Cluster {attempt.cluster} is bringing up its Ray cluster."
        case Pair(_R.READY, _J.WAITING) if attempt.submit_intent is None:
            return "The Ray cluster answers; its package and driver are on their way to the head."
        case Pair(_R.READY, _J.WAITING):
            return "The driver is submitted; Ray prepares its runtime_env."
        case Pair(_R.TERMINATING, _J.STOPPING):
            return "It was asked to stop, and has not ended yet."
        case _:
            return ""
