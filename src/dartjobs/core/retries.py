"""Whether a failed attempt is followed by another, and when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dartjobs.core.world import Move, View
from dartjobs.models.reason import Category, Reason
from dartjobs.models.state import JobState

LONGEST_BACKOFF = timedelta(minutes=10)
REQUEUES = frozenset({Reason.PREEMPTED, Reason.DRAINED, Reason.REQUEUED})
"""Ends after which the job is queued again at once, and no retry is spent."""


def avoided(view: View, move: Move) -> str | None:
    """The cluster that the attempt after this end keeps clear of at first; None: it may go anywhere."""
    return view.attempt.cluster if move.reason.category is Category.INFRASTRUCTURE else None


def retry_at(view: View, move: Move, spent: Sequence[Category | None]) -> datetime | None:
    """When the next attempt may start, or None if this outcome is the job's.

    Args:
        view: the attempt that ends, with its job's stop.
        move: the move to its outcome.
        spent: the categories of the job's earlier attempts that failed.
    """
    if view.stop is not None or not move.target.job_state.is_final:
        return None
    if move.reason in REQUEUES:
        return view.now
    category = move.reason.category
    if move.target.job_state is not JobState.FAILED or category is None or move.reason is Reason.JOB_TIMEOUT:
        return None
    used = sum(earlier is category for earlier in spent)
    if used >= view.spec.retries.limit(category):
        return None
    doublings = 1 << min(used, 16)
    return view.now + min(view.spec.retries.backoff * doublings, LONGEST_BACKOFF)
