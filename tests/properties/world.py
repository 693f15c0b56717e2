"""A cluster in memory that can fail in every way that the driver's protocol allows, and the ledger of driver starts."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Failure, Observation, RayJob, RayJobStatus
from dartjobs.drivers.base import HeadChangedError, Held, Launch, Submission, TemporaryDriverError
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import GIBIBYTE

_GOES = {RayJobStatus.PENDING, RayJobStatus.RUNNING}


@dataclass
class Report:
    """What a runner says to the gateway, perhaps later than it happened, perhaps twice."""

    attempt_id: str
    kind: str
    body: dict[str, object]


@dataclass
class Head:
    """One attempt's Ray cluster."""

    cluster_uid: str
    head_uid: str | None
    answers: bool = True
    failure: Failure | None = None
    job: RayJob = field(default_factory=lambda: RayJob(RayJobStatus.ABSENT))
    meant_for: str | None = None
    """The head that the submission names."""
    asked_to_stop: bool = False


class World:
    """Speaks `drivers.base.Driver`; what happens in it beside that is up to a test."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self.ledger: list[str] = []
        """The attempt of every driver that was started, in order."""
        self.reports: list[Report] = []
        """On their way to the gateway."""
        self.reachable = True
        self._uids = itertools.count(1)

    # What happens by itself

    def change(self, what: str, attempt_id: str, *, told: bool) -> None:
        """One of these to one attempt; `told`: the gateway hears of it, or, of a head, that it answers.

        It "forgets" where Ray starts anew within a head that lives on.
        """
        match what:
            case "starts":
                self.runner_starts(attempt_id, told=told)
            case "ends" | "fails":
                self.driver_ends(attempt_id, 0 if what == "ends" else 1, told=told)
            case "dies":
                self.head_dies(attempt_id)
            case "replaced":
                self.head_is_replaced(attempt_id)
            case "broken":
                self.head_fails(attempt_id)
            case "forgets":
                self.heads[attempt_id].job = RayJob(RayJobStatus.ABSENT)
            case "silent":
                self.heads[attempt_id].answers = told
            case _:
                del self.heads[attempt_id]

    def head_dies(self, attempt_id: str) -> None:
        """With it everything that ran on it."""
        head = self.heads[attempt_id]
        head.head_uid, head.job = None, RayJob(RayJobStatus.ABSENT)

    def head_is_replaced(self, attempt_id: str) -> None:
        """By one that knows nothing."""
        self.head_dies(attempt_id)
        self.heads[attempt_id].head_uid = self._uid("head")

    def head_fails(self, attempt_id: str) -> None:
        """It will not come up."""
        self.head_dies(attempt_id)
        self.heads[attempt_id].failure = Failure(Reason.HEAD_FAILED, "the image cannot be pulled")

    def runner_starts(self, attempt_id: str, *, told: bool) -> None:
        """The runner looks at which head it is on, and starts the driver only on the right one."""
        head = self.heads[attempt_id]
        if head.job.status is not RayJobStatus.PENDING:
            return
        if head.meant_for != head.head_uid:
            head.job = RayJob(RayJobStatus.FAILED, exit_code=97)
            return
        self.ledger.append(attempt_id)
        head.job = RayJob(RayJobStatus.RUNNING)
        if told:
            self.reports.append(Report(attempt_id, "start", {"head_uid": head.head_uid, "pid": 1}))

    def driver_ends(self, attempt_id: str, code: int, *, told: bool) -> None:
        """By itself, or because it was asked to stop."""
        head = self.heads[attempt_id]
        if head.job.status is not RayJobStatus.RUNNING:
            return
        status = RayJobStatus.SUCCEEDED if code == 0 else RayJobStatus.FAILED
        stopping = head.asked_to_stop
        head.job = RayJob(RayJobStatus.STOPPED) if stopping else RayJob(status, exit_code=code)
        if told:
            self.reports.append(Report(attempt_id, "log_end", {"bytes": 0}))
            self.reports.append(Report(attempt_id, "exit", {"code": code, "stopping": stopping}))

    def goes_on(self) -> None:
        """Everything that can come to its end comes nearer to it."""
        self.reachable = True
        for attempt_id, head in self.heads.items():
            head.answers = True
            self.driver_ends(attempt_id, 0, told=True)
            self.runner_starts(attempt_id, told=True)
            if head.asked_to_stop and head.job.status is RayJobStatus.PENDING:
                head.job = RayJob(RayJobStatus.STOPPED)

    # What a Sync Service asks of it

    async def identity(self) -> str:
        return "world"

    async def capacity(self) -> Capacity:
        return Capacity(Resources(Decimal(3), 64 * GIBIBYTE))

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        if not self.reachable:
            return UNREACHABLE
        head = self.heads.get(attempt.id)
        if head is None:
            return Observation()
        answers = head.head_uid is not None and head.answers and head.failure is None
        return Observation(
            cluster_uid=head.cluster_uid,
            head_uid=head.head_uid,
            head_answers=answers,
            failure=head.failure,
            ray_job=head.job if ask_ray and answers else None,
            leftovers=True,
        )

    async def create(self, launch: Launch) -> None:
        self._reach()
        if launch.attempt.id not in self.heads:
            self.heads[launch.attempt.id] = Head(self._uid("cluster"), self._uid("head"))

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        self._reach()
        return attempt.id in self.heads and bool(ref)

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        raise AssertionError((attempt.id, ref, chunks, size), "no job here has a package")

    async def submit(self, submission: Submission) -> None:
        head = self._head(submission.attempt)
        if head.head_uid != submission.intent.head_uid:
            raise HeadChangedError
        if head.job.status is RayJobStatus.ABSENT:
            head.job, head.meant_for = RayJob(RayJobStatus.PENDING), submission.intent.head_uid

    async def stop_driver(self, attempt: Attempt) -> None:
        head = self._head(attempt)
        if head.job.status in _GOES:
            head.asked_to_stop = True

    async def kill_head(self, attempt: Attempt) -> None:
        self._reach()
        head = self.heads.get(attempt.id)
        if head is not None and attempt.submit_intent and head.head_uid == attempt.submit_intent.head_uid:
            self.head_dies(attempt.id)

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        self._reach()
        head = self.heads.get(attempt.id)
        if head is not None and cluster_uid in {None, head.cluster_uid}:
            del self.heads[attempt.id]

    async def inventory(self) -> list[Held]:
        self._reach()
        return [Held(attempt_id, head.cluster_uid, head.head_uid) for attempt_id, head in self.heads.items()]

    async def close(self) -> None:
        """Nothing is open."""

    def _reach(self) -> None:
        if not self.reachable:
            msg = "unreachable"
            raise TemporaryDriverError(msg)

    def _head(self, attempt: Attempt) -> Head:
        self._reach()
        head = self.heads.get(attempt.id)
        if head is None or head.head_uid is None or not head.answers:
            msg = "no head answers"
            raise TemporaryDriverError(msg)
        return head

    def _uid(self, kind: str) -> str:
        return f"{kind}-{next(self._uids)}"
