"""Why a job is not running, or why it ended, and what comes next: in words for its user."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dartjobs.core import choosing, deadlines, queueing
from dartjobs.core.policy import Policy
from dartjobs.core.queueing import ClusterView, Queued
from dartjobs.core.world import UNREACHABLE, View
from dartjobs.models.cluster import Cluster, ClusterState
from dartjobs.models.explain import ClusterVerdict, Explanation, Refusal
from dartjobs.models.job import Job
from dartjobs.models.reason import FACTS
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


def why_not_running(job: Job, clusters: Iterable[ClusterView]) -> str:
    """Empty while it runs and once it is over."""
    attempt = job.attempt
    match attempt.pair:
        case Pair(_R.QUEUED, _J.WAITING):
            why = queueing.why_queued(job.spec, job.namespace, clusters)
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
    verdicts = [verdict(job, one, around.clusters, around.now) for one in around.clusters] if queued else []
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


def verdict(job: Job, cluster: Cluster, others: Sequence[Cluster], now: datetime) -> ClusterVerdict:
    """What one cluster says to a job that waits."""
    queued, view = wish_of(job), queueing.view_of(cluster)
    refused = queueing.refusal(queued, view)
    if refused is None and choosing.avoids(queued, view, map(queueing.view_of, others), now):
        refused = Refusal.AVOIDED
    words = queueing.words(refused, queued, view)
    return ClusterVerdict(name=cluster.name, fits=refused is None, refusal=refused, detail=f"It {words}.")


def wish_of(job: Job) -> Queued:
    """What a job is to placement."""
    attempt = job.attempt
    since = attempt.not_before or attempt.created_at
    return replace(queueing.wish(job.spec, job.namespace, attempt.avoid), attempt_id=attempt.id, since=since)


_OF_THE_OPERATOR = {
    Refusal.SELECTOR,
    Refusal.NAMESPACE,
    Refusal.CORDONED,
    Refusal.UNREACHABLE,
    Refusal.LOST,
}
"""Where it does not help to ask for less."""


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
    return why_not_running(job, [queueing.view_of(one) for one in around.clusters])


def _advice(job: Job, verdicts: Sequence[ClusterVerdict]) -> str:
    attempt = job.attempt
    if attempt.job_state.is_final:
        return attempt.advice
    refusals = {one.refusal for one in verdicts}
    if attempt.resource_state is not _R.QUEUED or not verdicts or None in refusals:
        return ""
    if refusals <= _OF_THE_OPERATOR:
        return "Ask your operator: no cluster takes this job as they are set up now."
    return "Wait, ask for less (`--cpu`, `--memory`, `--gpu`, fewer workers), or raise `--priority`."


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
