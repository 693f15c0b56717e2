"""Why a job is not running, or why it ended, and what comes next: in words for its user."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dartjobs.core import deadlines, queueing
from dartjobs.core.policy import Policy
from dartjobs.core.queueing import ClusterView
from dartjobs.core.world import UNREACHABLE, View
from dartjobs.models.cluster import Cluster, ClusterState
from dartjobs.models.explain import ClusterVerdict, Explanation
from dartjobs.models.job import Attempt, Job
from dartjobs.models.reason import FACTS
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState

_R, _J = ResourceState, JobState


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What besides the job an explanation looks at, all read at one moment."""

    now: datetime
    """The database's clock."""
    clusters: Sequence[Cluster] = ()
    position: int | None = None
    """In the queue, from 1."""
    blind_seconds: float = 0.0
    """The sum of its cluster."""


def why_not_running(attempt: Attempt, spec: JobSpec, clusters: Iterable[ClusterView]) -> str:
    """Empty while it runs and once it is over."""
    match attempt.pair:
        case Pair(_R.QUEUED, _J.WAITING):
            why = queueing.why_queued(spec, clusters)
            if attempt.number > 1 and attempt.not_before is not None:
                return f"Attempt {attempt.number} starts after {_time(attempt.not_before)}. {why}"
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


def explain(job: Job, around: Surroundings, policy: Policy) -> Explanation:
    """The job's present state in words, with what comes next and when at the latest."""
    attempt = job.attempt
    queued = attempt.resource_state is _R.QUEUED
    own = next((one for one in around.clusters if one.name == attempt.cluster), None)
    verdicts = [verdict(job.spec, one) for one in around.clusters] if queued else []
    return Explanation(
        job_id=job.id,
        attempt=attempt.number,
        resource_state=attempt.resource_state,
        job_state=attempt.job_state,
        summary=_summary(job, around, own),
        reason=attempt.reason,
        category=attempt.category,
        message=attempt.message,
        advice=_advice(job, verdicts),
        next=_next(job, around, policy, own),
        since=attempt.entered_at,
        position=around.position if queued else None,
        clusters=verdicts,
        unreachable_since=None if own is None else own.unreachable_since,
    )


def verdict(spec: JobSpec, cluster: Cluster) -> ClusterVerdict:
    """What one cluster says to a job that waits."""
    view = view_of(cluster)
    need, free = queueing.demand(spec), view.free
    missing = sorted(spec.cluster_selector.items() - cluster.labels.items())
    if cluster.state is not ClusterState.READY:
        return ClusterVerdict(name=cluster.name, fits=False, detail=_NOT_READY[cluster.state])
    if missing:
        wanted = ", ".join(f"{key}={value}" for key, value in missing)
        return ClusterVerdict(name=cluster.name, fits=False, detail=f"It lacks the labels {wanted}.")
    if need.fits(free):
        return ClusterVerdict(name=cluster.name, fits=True, detail=f"It has {free} free, and the job needs {need}.")
    if not need.fits(view.capacity.total) and not cluster.elastic:
        detail = f"Even empty it has only {view.capacity.total}, and the job needs {need}."
    else:
        detail = f"It has {free} free of {view.capacity.total}, and the job needs {need}."
    return ClusterVerdict(name=cluster.name, fits=False, detail=detail)


def view_of(cluster: Cluster) -> ClusterView:
    """A cluster as placement sees it."""
    total = queueing.Resources(cluster.capacity.cpu, cluster.capacity.memory, cluster.capacity.gpu)
    used = queueing.Resources(cluster.used.cpu, cluster.used.memory, cluster.used.gpu)
    capacity = queueing.Capacity(total, elastic=cluster.elastic)
    return ClusterView(cluster.name, capacity, used, cluster.labels, cluster.state is ClusterState.READY)


_NOT_READY = {
    ClusterState.CORDONED: "An operator wants no new jobs on it.",
    ClusterState.UNREACHABLE: "It cannot be seen now, and takes nothing until it can.",
    ClusterState.LOST: "It was declared lost.",
}


def _summary(job: Job, around: Surroundings, own: Cluster | None) -> str:
    attempt = job.attempt
    if own is not None and own.state is ClusterState.UNREACHABLE and attempt.terminated_at is None:
        since = "" if own.unreachable_since is None else f" since {_time(own.unreachable_since)}"
        return (
            f"Cluster {own.name} cannot be seen{since}: what the job does there is not known, and nothing is concluded."
        )
    if attempt.job_state is _J.RUNNING:
        return f"It runs on cluster {attempt.cluster}."
    if attempt.job_state.is_final:
        return f"{attempt.job_state}: {FACTS[attempt.reason].meaning}. {attempt.message}".rstrip()
    if job.stop is not None and attempt.resource_state is _R.QUEUED:
        return f"{job.stop.by} asked for its stop; it waits to be taken out of the queue."
    return why_not_running(attempt, job.spec, [view_of(one) for one in around.clusters])


def _advice(job: Job, verdicts: Sequence[ClusterVerdict]) -> str:
    attempt = job.attempt
    if attempt.job_state.is_final:
        return attempt.advice
    if attempt.resource_state is _R.QUEUED and verdicts and not any(one.fits for one in verdicts):
        return "Wait, ask for less (`--cpu`, `--memory`, `--gpu`, fewer workers), or raise `--priority`."
    return ""


def _next(job: Job, around: Surroundings, policy: Policy, own: Cluster | None) -> str:
    attempt = job.attempt
    view = View(
        attempt=attempt,
        spec=job.spec,
        submitted_at=job.submitted_at,
        now=around.now,
        observation=UNREACHABLE,
        stop=job.stop,
        blind_seconds=around.blind_seconds,
    )
    limit, total = deadlines.state_deadline(view, policy), deadlines.job_deadline(view)
    words = _next_in_state(job, limit)
    if total is not None and not attempt.job_state.is_final:
        words += f" Its total time ends at {_time(total)}."
    if own is not None and own.state is ClusterState.UNREACHABLE and attempt.terminated_at is None:
        words += " While its cluster cannot be seen, no limit but the total time runs."
    return words


def _next_in_state(job: Job, limit: datetime | None) -> str:
    attempt = job.attempt
    at_the_latest = "" if limit is None else f", at {_time(limit)} at the latest"
    match attempt.pair:
        case Pair(_R.QUEUED, _) if job.stop is not None:
            return "The controller ends it where it stands, within seconds."
        case Pair(_R.QUEUED, _):
            gives_up = "" if limit is None else f" If none has by {_time(limit)}, it fails with QUEUED_TIMEOUT."
            return f"A cluster takes it as soon as one has room and its turn comes.{gives_up}"
        case Pair(_R.CREATING, _):
            return f"The head answers, or the attempt fails with CREATING_TIMEOUT{at_the_latest}."
        case Pair(_R.READY, _J.WAITING):
            return f"The driver starts, or the attempt fails with START_TIMEOUT{at_the_latest}."
        case Pair(_R.READY, _J.RUNNING):
            return "It goes on until its entrypoint exits, or somebody stops it."
        case Pair(_R.TERMINATING, _J.STOPPING):
            return f"The driver ends after SIGTERM, or is killed with its head{at_the_latest}."
        case Pair(_R.READY, _):
            return f"Its Ray cluster is kept for debugging, then deleted{at_the_latest}."
        case Pair(_R.TERMINATING, _):
            return "Its resources are being deleted; that is repeated until nothing is left."
        case _:
            return "Nothing more happens: it is over and nothing of it is left."


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
