"""The states of an attempt and the legal moves between them, written once, as data."""

from enum import StrEnum
from itertools import product
from typing import NamedTuple


class ResourceState(StrEnum):
    """The infrastructure under an attempt, in the order in which it goes forward."""

    QUEUED = "QUEUED"
    """Recorded; no cluster has claimed it."""
    CREATING = "CREATING"
    """Claimed by a cluster; its Ray cluster is coming up."""
    READY = "READY"
    """The Ray cluster's head answers."""
    TERMINATING = "TERMINATING"
    """Being taken down."""
    TERMINATED = "TERMINATED"
    """Nothing is left in the cluster, or nothing was ever created."""


class JobState(StrEnum):
    """The Ray job of an attempt. The last three are final: they never change."""

    WAITING = "WAITING"
    """The driver has not started."""
    RUNNING = "RUNNING"
    """The driver runs."""
    STOPPING = "STOPPING"
    """Asked to stop; the driver has not been seen to end."""
    SUCCEEDED = "SUCCEEDED"
    """The driver exited with 0."""
    FAILED = "FAILED"
    """The driver, or something under it, failed: the reason says what."""
    STOPPED = "STOPPED"
    """Ended because somebody asked for it."""

    @property
    def is_final(self) -> bool:
        """Whether this is an outcome."""
        return self in FINAL


FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED})


class Pair(NamedTuple):
    """Both states of an attempt."""

    resource_state: ResourceState
    job_state: JobState

    def __str__(self) -> str:
        return f"{self.resource_state}, {self.job_state}"


_R, _J = ResourceState, JobState

LEGAL_PAIRS: dict[Pair, str] = {
    Pair(_R.QUEUED, _J.WAITING): "recorded; no cluster has claimed it",
    Pair(_R.CREATING, _J.WAITING): "claimed; the Ray cluster is coming up",
    Pair(_R.READY, _J.WAITING): "the head answers; the driver is submitted or about to be",
    Pair(_R.READY, _J.RUNNING): "the driver runs",
    Pair(_R.READY, _J.SUCCEEDED): "succeeded; the cluster is kept for its TTL",
    Pair(_R.READY, _J.FAILED): "failed; the cluster is kept for its TTL",
    Pair(_R.TERMINATING, _J.STOPPING): "asked to stop; waiting for the driver's end",
    Pair(_R.TERMINATING, _J.SUCCEEDED): "succeeded; resources are being deleted",
    Pair(_R.TERMINATING, _J.FAILED): "failed; resources are being deleted",
    Pair(_R.TERMINATING, _J.STOPPED): "stopped; resources are being deleted",
    Pair(_R.TERMINATED, _J.SUCCEEDED): "succeeded; nothing is left",
    Pair(_R.TERMINATED, _J.FAILED): "failed; nothing is left",
    Pair(_R.TERMINATED, _J.STOPPED): "stopped; nothing is left",
}
"""Every pair in which an attempt can be, with its meaning."""

INITIAL = Pair(_R.QUEUED, _J.WAITING)

_RESOURCE_RANK = {state: rank for rank, state in enumerate(ResourceState)}
_JOB_RANK = {_J.WAITING: 0, _J.RUNNING: 1, _J.STOPPING: 2, _J.SUCCEEDED: 3, _J.FAILED: 3, _J.STOPPED: 3}


def _goes_forward(source: Pair, target: Pair) -> bool:
    if source.job_state.is_final and target.job_state is not source.job_state:
        return False
    resource = _RESOURCE_RANK[target.resource_state] - _RESOURCE_RANK[source.resource_state]
    job = _JOB_RANK[target.job_state] - _JOB_RANK[source.job_state]
    return resource >= 0 and job >= 0 and resource + job > 0


MOVES: dict[Pair, frozenset[Pair]] = {
    source: frozenset(target for target in LEGAL_PAIRS if _goes_forward(source, target)) for source in LEGAL_PAIRS
}
"""The transition table: from each legal pair, the pairs it may move to. A pair with no way out is an end."""


def is_legal_move(source: Pair, target: Pair) -> bool:
    """Whether an attempt in `source` may move to `target`; a pair outside the table moves nowhere."""
    return target in MOVES.get(source, frozenset())


def neighbours() -> list[tuple[Pair, Pair]]:
    """The moves that skip no pair, in the table's order, for the diagram; every other move is a path of these."""
    return [
        (source, target)
        for source, target in product(LEGAL_PAIRS, LEGAL_PAIRS)
        if target in MOVES[source] and not any(target in MOVES[between] for between in MOVES[source])
    ]
