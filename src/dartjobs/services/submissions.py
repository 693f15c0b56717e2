"""Recording of new jobs: many requests in one transaction, each request once."""

from collections.abc import Callable, Sequence

from dartjobs.models.problem import IdempotencyMismatchError
from dartjobs.services.group_commit import GroupCommit
from dartjobs.store import submissions as store
from dartjobs.store.database import Database
from dartjobs.store.submissions import NewJob, Recorded, Submission

MOST_IN_A_TRANSACTION = 1_000

__all__ = ["NewJob", "Recorded", "Submission", "Submissions"]


class Submissions:
    """What the submissions of one process share: their transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_commit: Callable[[int], None] = lambda _jobs: None
        """Told after each transaction how many jobs were in it: for metrics."""
        self._group = GroupCommit(self._commit, size=lambda one: len(one.jobs), most=MOST_IN_A_TRANSACTION)

    async def record(self, submission: Submission) -> Recorded:
        """Record a submission, or find what the first one with its key made; durable when this returns.

        Raises:
            IdempotencyMismatchError: its key was used for another body.
            PackageNotFoundError, BadRowError: it is one job, whose package is absent, or which the database refuses.
            UnavailableError: the database cannot be reached.
        """
        recorded = await self._group.record(submission)
        if recorded.mismatch:
            msg = "This Idempotency-Key was used for a request with another body: take a new one for a new request."
            raise IdempotencyMismatchError(msg)
        if recorded.refused and len(submission.jobs) == 1:
            raise next(iter(recorded.refused.values()))
        return recorded

    async def _commit(self, submissions: Sequence[Submission]) -> Sequence[Recorded]:
        recorded = await store.record_all(self._database, submissions)
        self.on_commit(sum(len(one.jobs) for one in submissions))
        return recorded
