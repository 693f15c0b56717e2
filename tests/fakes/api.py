"""An API server in memory that follows the HTTP contract, with hands for tests to move its jobs."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp

from dartjobs.models.cluster import Cluster
from dartjobs.models.job import Attempt, Job, RequeueIntent, StopIntent, Transition
from dartjobs.models.problem import NotFoundError
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api_clusters import cluster_of
from tests.fakes.api_routes import app_of

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Log:
    """What an attempt wrote."""

    data: bytes = b""
    complete: bool = False


@dataclass
class Known:
    """All that is known of a job."""

    job: Job
    transitions: list[Transition] = field(default_factory=list)
    logs: dict[int, Log] = field(default_factory=dict)
    earlier: list[Attempt] = field(default_factory=list)


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


class FakeApi:
    """The state; `app` is the server of it. Time goes on by a second with each move."""

    def __init__(self) -> None:
        self.jobs: dict[str, Known] = {}
        self.packages: dict[str, bytes] = {}
        self.uploads: dict[tuple[str, str], bytes] = {}
        self.keys: dict[tuple[str, str, str | None], tuple[bytes, BaseModel]] = {}
        self.clusters: dict[str, Cluster] = {}
        self.version = version("dartjobs")
        self.stop_page = 100
        """Jobs that one request stops at most."""
        self.seen: list[Seen] = []
        self.answers: list[tuple[str, str, Response]] = []
        """Answers to be given once, in the place of the real ones: a method, the end of a path, the response."""
        self.follow_idle = 60.0
        """Seconds without bytes after which a follow ends."""
        self.watch_type = "text/event-stream"
        self.on_submit: Callable[[str], object] = str
        """Called with the id of each job that is added, before its submission is answered."""
        self._seconds = itertools.count()
        self.app: ASGIApp = app_of(self)

    # What a test does

    def add(self, *, namespace: str = "default", user: str = "ada", **fields: Any) -> Job:
        """A queued job."""
        spec = JobSpec.model_validate({"entrypoint": "python main.py", **fields})
        return self.submitted(namespace, user, spec)

    def move(
        self,
        job_id: str,
        resource_state: ResourceState,
        job_state: JobState,
        reason: Reason,
        *,
        retry: bool = False,
        **changes: Any,
    ) -> Job:
        """Record a move; a final one finishes the job, unless a retry is to follow, which it then begins."""
        known, at = self.jobs[job_id], self._now()
        before = known.job.attempt
        update: dict[str, Any] = {"resource_state": resource_state, "job_state": job_state, "entered_at": at, **changes}
        if not before.job_state.is_final:
            update |= {"reason": reason, "category": reason.category}
        if job_state.is_final and not before.job_state.is_final:
            update["finished_at"] = at
        if resource_state is ResourceState.TERMINATED:
            update["terminated_at"] = at
        attempt = before.model_copy(update={**update, "version": before.version + 1})
        job = known.job.model_copy(update={"attempt": attempt, "why": ""})
        known.transitions.append(_transition(before, attempt, reason, changes.get("message", ""), at))
        if job_state.is_final and job.finished_at is None:
            job = self._retried(known, job, at) if retry else job.model_copy(update={"finished_at": at})
        known.job = job
        return job

    def run(self, job_id: str) -> Job:
        """Up to a running driver."""
        self.move(job_id, ResourceState.CREATING, JobState.WAITING, Reason.CLAIMED, cluster="local")
        return self.move(job_id, ResourceState.READY, JobState.RUNNING, Reason.DRIVER_STARTED)

    def end(
        self, job_id: str, job_state: JobState = JobState.SUCCEEDED, reason: Reason | None = None, **changes: Any
    ) -> Job:
        """The outcome, with a log to which nothing will be added."""
        usual = {JobState.SUCCEEDED: Reason.COMPLETED, JobState.FAILED: Reason.DRIVER_FAILED}
        number = self.jobs[job_id].job.attempt.number
        code = {"exit_code": 0} if job_state is JobState.SUCCEEDED else {}
        chosen = reason or usual.get(job_state, Reason.USER_STOP)
        self.log(job_id, number).complete = True
        return self.move(job_id, ResourceState.TERMINATING, job_state, chosen, **code | changes)

    def add_cluster(self, name: str, **more: Any) -> Cluster:
        """A cluster."""
        self.clusters[name] = cluster_of(name, self._now(), **more)
        return self.clusters[name]

    def log(self, job_id: str, attempt: int | None = None) -> Log:
        """The log of an attempt, the latest by default, to be written to."""
        known = self.jobs[job_id]
        return known.logs.setdefault(attempt or known.job.attempt.number, Log())

    def write(self, job_id: str, data: bytes) -> None:
        """Add to the latest attempt's log."""
        self.log(job_id).data += data

    def answer_once(self, method: str, path_end: str, response: Response) -> None:
        """Answer the next such request with this."""
        self.answers.append((method, path_end, response))

    def count(self, method: str, path_end: str) -> int:
        """How many such requests arrived."""
        return sum(one.method == method and one.path.endswith(path_end) for one in self.seen)

    # What the server does

    def arrived(self, method: str, path: str, query: str, headers: dict[str, str]) -> Response | None:
        self.seen.append(Seen(method, path, query, headers))
        for prepared in self.answers:
            if prepared[0] == method and path.endswith(prepared[1]):
                self.answers.remove(prepared)
                return prepared[2]
        return None

    def submitted(self, namespace: str, user: str, spec: JobSpec, retry_of: str | None = None) -> Job:
        at, job_id = self._now(), f"job-{len(self.jobs):026}"
        attempt = _first(job_id, 1, Reason.SUBMITTED, at)
        job = Job(
            id=job_id,
            namespace=namespace,
            name=spec.name,
            user=user,
            spec=spec,
            submitted_at=at,
            retry_of=retry_of,
            attempt=attempt,
            why="No cluster is registered yet.",
        )
        self.jobs[job_id] = Known(job, [_transition(None, attempt, Reason.SUBMITTED, "", at)])
        self.on_submit(job_id)
        return job

    def known(self, namespace: str, job_id: str) -> Known:
        known = self.jobs.get(job_id)
        if known is None or known.job.namespace != namespace:
            msg = f"There is no job {job_id} in namespace {namespace}."
            raise NotFoundError(msg)
        return known

    def stopped(self, known: Known, by: str, reason: str) -> Job:
        if known.job.stop is None and known.job.finished_at is None:
            stop = StopIntent(at=self._now(), by=by, reason=reason)
            known.job = known.job.model_copy(update={"stop": stop})
        return known.job

    def requeued(self, known: Known, by: str, reason: str) -> Job:
        wish = RequeueIntent(attempt=known.job.attempt.number, at=self._now(), by=by, reason=reason)
        known.job = known.job.model_copy(update={"requeue": wish})
        return known.job

    def now(self) -> datetime:
        return self._now()

    def _retried(self, known: Known, job: Job, at: datetime) -> Job:
        attempt = _first(job.id, job.attempt.number + 1, Reason.RETRIED, at)
        known.transitions.append(_transition(None, attempt, Reason.RETRIED, "", at))
        known.earlier.append(job.attempt)
        return job.model_copy(update={"attempt": attempt})

    def _now(self) -> datetime:
        return _START + timedelta(seconds=next(self._seconds))


def _first(job_id: str, number: int, reason: Reason, at: datetime) -> Attempt:
    return Attempt(
        id=f"{job_id}-{number}",
        job_id=job_id,
        number=number,
        resource_state=ResourceState.QUEUED,
        job_state=JobState.WAITING,
        version=1,
        reason=reason,
        created_at=at,
        entered_at=at,
    )


def _transition(before: Attempt | None, after: Attempt, reason: Reason, message: str, at: datetime) -> Transition:
    return Transition(
        attempt_id=after.id,
        attempt=after.number,
        version=after.version,
        from_resource_state=before and before.resource_state,
        from_job_state=before and before.job_state,
        resource_state=after.resource_state,
        job_state=after.job_state,
        reason=reason,
        category=reason.category,
        message=message,
        actor="fake",
        at=at,
    )
