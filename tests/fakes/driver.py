"""A cluster in memory: heads come up at once, and do what a test says."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Failure, Observation, RayJob, RayJobStatus
from dartjobs.drivers.base import FinalDriverError, HeadChangedError, Held, Launch, Submission, TemporaryDriverError
from dartjobs.models.job import Attempt
from dartjobs.models.spec import GIBIBYTE

EMPTY = Observation()


@dataclass
class FakeHead:
    """One attempt's Ray cluster."""

    cluster_uid: str
    head_uid: str | None
    answers: bool = True
    failure: Failure | None = None
    job: RayJob = field(default_factory=lambda: RayJob(RayJobStatus.ABSENT))
    packages: dict[str, bytes] = field(default_factory=dict)


class FakeDriver:
    """Speaks `drivers.base.Driver`; `calls` counts what was asked of it, `heads` is the world.

    Where it is `lively`, jobs go on by themselves, a step with each look: those that `sleep` until they are stopped,
    all others to their success.
    """

    def __init__(self, cpu: int = 8, *, lively: bool = False) -> None:
        self.heads: dict[str, FakeHead] = {}
        self.calls: Counter[str] = Counter()
        self.submissions: list[Submission] = []
        self.lively = lively
        self.reachable = True
        self.ready_at_once = True
        self.refuse: dict[str, Exception] = {}
        self.lose_reply_of_submit = False
        self._cpu = cpu
        self._made = 0

    async def identity(self) -> str:
        return "fake"

    async def capacity(self) -> Capacity:
        self._act("capacity")
        return Capacity(Resources(Decimal(self._cpu), 64 * GIBIBYTE))

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        self.calls["observe"] += 1
        if not self.reachable:
            return UNREACHABLE
        head = self.heads.get(attempt.id)
        if head is None:
            return EMPTY
        alive = head.head_uid is not None
        if self.lively and ask_ray:
            self._go_on(head)
        return Observation(
            cluster_uid=head.cluster_uid,
            head_uid=head.head_uid,
            head_answers=alive and head.answers,
            failure=head.failure,
            ray_job=head.job if ask_ray and alive and head.answers else None,
            leftovers=True,
        )

    async def create(self, launch: Launch) -> None:
        self._act("create")
        if launch.attempt.id not in self.heads:
            self._made += 1
            uids = f"cluster-{self._made}", f"head-{self._made}"
            self.heads[launch.attempt.id] = FakeHead(*uids, answers=self.ready_at_once)

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        self._act("has_package")
        return ref in self._head(attempt).packages

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        self._act("put_package")
        data = b"".join([chunk async for chunk in chunks])
        if len(data) != size:
            msg = f"{ref} has {len(data)} bytes, not {size}"
            raise TemporaryDriverError(msg)
        self._head(attempt).packages[ref] = data

    async def submit(self, submission: Submission) -> None:
        self._act("submit")
        head = self.heads.get(submission.attempt.id)
        if head is None or head.head_uid != submission.intent.head_uid:
            raise HeadChangedError
        if head.job.status is RayJobStatus.ABSENT:
            self.submissions.append(submission)
            head.job = RayJob(RayJobStatus.PENDING)
        if self.lose_reply_of_submit:
            self.lose_reply_of_submit = False
            msg = "the reply was lost"
            raise TemporaryDriverError(msg)

    async def stop_driver(self, attempt: Attempt) -> None:
        self._act("stop_driver")
        if self._head(attempt).job.status in {RayJobStatus.PENDING, RayJobStatus.RUNNING}:
            self._head(attempt).job = RayJob(RayJobStatus.STOPPED)

    async def kill_head(self, attempt: Attempt) -> None:
        self._act("kill_head")
        head = self.heads.get(attempt.id)
        if head is not None and attempt.submit_intent and head.head_uid == attempt.submit_intent.head_uid:
            head.head_uid = None

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        self._act("delete")
        head = self.heads.get(attempt.id)
        if head is not None and cluster_uid in {None, head.cluster_uid}:
            del self.heads[attempt.id]

    async def inventory(self) -> list[Held]:
        self._act("inventory")
        return [Held(attempt_id, head.cluster_uid, head.head_uid) for attempt_id, head in self.heads.items()]

    async def close(self) -> None:
        """Nothing is open."""

    def _go_on(self, head: FakeHead) -> None:
        if head.job.status is RayJobStatus.PENDING:
            head.job = RayJob(RayJobStatus.RUNNING)
        elif head.job.status is RayJobStatus.RUNNING and not str(self.submissions[-1].spec.entrypoint).startswith(
            "sleep"
        ):
            head.job = RayJob(RayJobStatus.SUCCEEDED, exit_code=0)

    def _act(self, name: str) -> None:
        self.calls[name] += 1
        if not self.reachable:
            msg = "unreachable"
            raise TemporaryDriverError(msg)
        error = self.refuse.get(name)
        if error is not None:
            raise error

    def _head(self, attempt: Attempt) -> FakeHead:
        head = self.heads.get(attempt.id)
        if head is None or head.head_uid is None:
            msg = "there is no head"
            raise TemporaryDriverError(msg)
        return head


REFUSED = FinalDriverError("the manifest is refused: no such profile")
