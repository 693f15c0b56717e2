"""Which of the queue a cluster takes now, and which it leaves to another for a moment.

Clusters pull: each decides for itself, from one sight of the queue and of all clusters. Where all of them see the same
and reckon the same way, each takes its share; where they do not, or the better one does not come, the wait ends and
whoever has room takes it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from dartjobs.core.queueing import ClusterView, Queued, lasting_refusal, refusal
from dartjobs.models.cluster import ClusterState, Placement

LEAVES_FOR = timedelta(seconds=3)
"""For so long after a job may start, a cluster leaves it to one that packs or spreads better: three polls."""
AVOIDS_FOR = timedelta(seconds=30)
"""For so long a cluster leaves a job whose last attempt failed there to any other that could run it."""


def choose(
    queue: Iterable[Queued], cluster: ClusterView, others: Iterable[ClusterView] = (), now: datetime | None = None
) -> list[Queued]:
    """Which of the queue, in its order, this cluster takes now.

    One that does not fit does not block those behind it (Kueue's `BestEffortFIFO`). What others are likely to take is
    reckoned as theirs, so that clusters that look at the same moment divide the queue between them.
    """
    if cluster.state is not ClusterState.READY:
        return []
    views = {one.name: one for one in (*others, cluster)}
    chosen: list[Queued] = []
    for queued in queue:
        takes = _taker(queued, cluster, list(views.values()), now)
        if takes is None:
            continue
        views[takes] = views[takes].with_one_more(queued.need)
        if takes == cluster.name:
            chosen.append(queued)
    return chosen


def _taker(queued: Queued, mine: ClusterView, views: Sequence[ClusterView], now: datetime | None) -> str | None:
    """Who takes it now, as this cluster reckons; None: nobody, for the moment."""
    able = [one for one in views if refusal(queued, one) is None and not avoids(queued, one, views, now)]
    if not able:
        return None
    if not _may_leave(queued, LEAVES_FOR, now) and any(one.name == mine.name for one in able):
        return mine.name
    return min(able, key=_order(mine.name, mine.placement)).name


def avoids(queued: Queued, cluster: ClusterView, others: Iterable[ClusterView], now: datetime | None) -> bool:
    """Whether it keeps clear of this cluster: its last attempt failed there, and another could run it, if not now."""
    return (
        queued.avoid == cluster.name
        and _may_leave(queued, AVOIDS_FOR, now)
        and any(
            one.name != cluster.name and one.state is ClusterState.READY and lasting_refusal(queued, one) is None
            for one in others
        )
    )


def _may_leave(queued: Queued, wait: timedelta, now: datetime | None) -> bool:
    """Whether it has not waited for too long already."""
    return now is not None and queued.since is not None and now - queued.since < wait


def _order(mine: str, placement: Placement) -> Callable[[ClusterView], tuple[float, str]]:
    """The best cluster comes first; of equals, the first by name, so that all clusters name the same one."""

    def key(one: ClusterView) -> tuple[float, str]:
        match placement:
            case Placement.PACK:
                return -_fullness(one), one.name
            case Placement.SPREAD:
                return _fullness(one), one.name
            case Placement.FIRST:
                return float(one.name != mine), one.name

    return key


def _fullness(one: ClusterView) -> float:
    """How full it is, from 0 to 1, by what is scarcest there."""
    used, most = one.used, one.most
    pairs = [(float(used.cpu), float(most.cpu)), (used.memory, most.memory), (used.gpu, most.gpu)]
    if one.limits.jobs is not None:
        pairs.append((one.held, one.limits.jobs))
    return max((part / whole for part, whole in pairs if whole > 0), default=1.0)
