"""Which cluster takes a job, where several could."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartjobs.core.choosing import AVOIDS_FOR, LEAVES_FOR, choose
from dartjobs.core.queueing import Capacity, ClusterView, Queued, Resources, lasting_refusal, refusal, words
from dartjobs.models.cluster import ClusterState, Limits, Placement
from dartjobs.models.explain import Refusal
from dartjobs.models.spec import GIBIBYTE

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def cluster(
    name: str, cpu: int = 8, used: int = 0, placement: Placement = Placement.FIRST, **more: object
) -> ClusterView:
    capacity = Capacity(Resources(Decimal(cpu), 64 * GIBIBYTE))
    view = ClusterView(name, capacity, Resources(Decimal(used), used * GIBIBYTE), held=used, placement=placement)
    return replaced(view, **more)


def replaced(view: ClusterView, **more: object) -> ClusterView:
    return replace(view, **more)  # type: ignore[arg-type]


def jobs(count: int, cpu: int = 1, age: timedelta = timedelta(0), **more: object) -> list[Queued]:
    need = Resources(Decimal(cpu), GIBIBYTE)
    return [Queued(f"job-{number}", need, since=NOW - age, **more) for number in range(count)]  # type: ignore[arg-type]


def shares(queue: list[Queued], *clusters: ClusterView) -> dict[str, list[str]]:
    """What each takes, where all look at one moment."""
    return {
        one.name: [taken.attempt_id for taken in choose(queue, one, [other for other in clusters if other != one], NOW)]
        for one in clusters
    }


def test_who_comes_first_takes_all_that_fits() -> None:
    assert len(choose(jobs(3), cluster("b", used=5), [cluster("a")], NOW)) == 3


def test_clusters_that_pack_fill_one_and_leave_the_other_empty() -> None:
    taken = shares(
        jobs(6), cluster("a", used=0, placement=Placement.PACK), cluster("b", used=4, placement=Placement.PACK)
    )
    assert {name: len(ids) for name, ids in taken.items()} == {"a": 2, "b": 4}
    assert taken["b"] == ["job-0", "job-1", "job-2", "job-3"]


def test_clusters_that_spread_divide_the_queue() -> None:
    spread = [cluster(name, placement=Placement.SPREAD) for name in ("a", "b", "c")]
    assert {name: len(ids) for name, ids in shares(jobs(6), *spread).items()} == {"a": 2, "b": 2, "c": 2}


@given(
    st.lists(st.tuples(st.integers(1, 16), st.integers(0, 4)), min_size=1, max_size=4),
    st.lists(st.integers(1, 8), max_size=10),
    st.sampled_from(Placement),
)
def test_clusters_that_reckon_alike_take_each_job_once(
    sizes: list[tuple[int, int]], needs: list[int], placement: Placement
) -> None:
    if placement is Placement.FIRST:
        return
    clusters = [cluster(f"c{n}", cpu, min(used, cpu), placement) for n, (cpu, used) in enumerate(sizes)]
    queue = [Queued(f"job-{n}", Resources(Decimal(cpu), GIBIBYTE), since=NOW) for n, cpu in enumerate(needs)]
    taken = shares(queue, *clusters)
    times = Counter(one for ids in taken.values() for one in ids)
    assert all(count == 1 for count in times.values())
    left = [one for one in queue if one.attempt_id not in times]
    for view in clusters:
        mine = sum(one.need.cpu for one in queue if one.attempt_id in taken[view.name])
        assert all(one.need.cpu > view.free.cpu - mine for one in left)


def test_nothing_is_left_to_a_better_one_for_longer_than_a_moment() -> None:
    late = jobs(1, age=LEAVES_FOR)
    full = cluster("a", used=4, placement=Placement.SPREAD)
    assert choose(jobs(1, age=LEAVES_FOR - SECOND), full, [cluster("b")], NOW) == []
    assert choose(late, full, [cluster("b")], NOW) == late


@pytest.mark.parametrize("state", [ClusterState.CORDONED, ClusterState.UNREACHABLE, ClusterState.LOST])
def test_nothing_is_left_to_one_that_takes_nothing(state: ClusterState) -> None:
    other = cluster("b", state=state)
    assert len(choose(jobs(1), cluster("a", used=4, placement=Placement.SPREAD), [other], NOW)) == 1


def test_a_retry_goes_to_another_cluster_and_back_only_after_a_wait() -> None:
    again = jobs(1, avoid="a")
    here, busy = cluster("a"), cluster("b", used=8)
    assert choose(again, here, [busy], NOW) == []
    assert choose(again, busy, [here], NOW) == []
    assert choose(again, cluster("b"), [here], NOW) == again
    waited = jobs(1, avoid="a", age=AVOIDS_FOR)
    assert choose(waited, here, [busy], NOW) == waited


def test_a_retry_avoids_nothing_where_no_other_could_ever_run_it() -> None:
    again = jobs(1, cpu=4, avoid="a")
    for other in (cluster("b", cpu=2), cluster("b", state=ClusterState.LOST), cluster("b", namespaces=("x",))):
        assert choose(again, cluster("a"), [other], NOW) == again
    assert choose(again, cluster("a"), [], NOW) == again


def test_limits_bound_what_is_taken() -> None:
    assert len(choose(jobs(5), cluster("a", limits=Limits(jobs=2)))) == 2
    assert len(choose(jobs(5), cluster("a", used=1, limits=Limits(jobs=2)))) == 1
    assert len(choose(jobs(5), cluster("a", limits=Limits(cpu=Decimal(3))))) == 3
    assert len(choose(jobs(5), cluster("a", limits=Limits(memory=4 * GIBIBYTE)))) == 4


def test_one_that_may_grow_is_filled_up_to_its_limits() -> None:
    empty = ClusterView("a", Capacity(Resources(), elastic=True), limits=Limits(cpu=Decimal(3), memory=GIBIBYTE * 9))
    assert len(choose(jobs(5), empty)) == 3
    assert choose(jobs(5), replaced(empty, limits=Limits())) == []


def test_a_limit_is_told_with_what_is_left_of_it() -> None:
    [one] = jobs(1, cpu=4)
    view = cluster("a", used=2, limits=Limits(cpu=Decimal(5), jobs=9))
    assert words(Refusal.LIMIT, one, view) == ("has 3 CPU, 62Gi memory left within its limits (9 jobs, 5 CPU)")
    assert words(Refusal.NO_ROOM, one, cluster("a", used=6)) == "has 2 CPU, 58Gi memory free of 8 CPU, 64Gi memory"


def test_a_refusal_says_what_lasts_before_what_passes() -> None:
    [one] = jobs(1, cpu=4, namespace="team", selector={"zone": "a"})
    fit = cluster("a", labels={"zone": "a"})
    assert refusal(one, fit) is None
    for refused, view in (
        (Refusal.SELECTOR, replaced(fit, labels={})),
        (Refusal.NAMESPACE, replaced(fit, namespaces=("other",))),
        (Refusal.TOO_LARGE, replaced(fit, limits=Limits(cpu=Decimal(2)))),
        (Refusal.TOO_LARGE, cluster("a", cpu=2, labels={"zone": "a"})),
        (Refusal.CORDONED, replaced(fit, state=ClusterState.CORDONED)),
        (Refusal.UNREACHABLE, replaced(fit, state=ClusterState.UNREACHABLE)),
        (Refusal.LIMIT, replaced(fit, held=3, limits=Limits(jobs=3))),
        (Refusal.LIMIT, replaced(fit, used=Resources(Decimal(2)), limits=Limits(cpu=Decimal(5)))),
        (Refusal.NO_ROOM, replaced(fit, used=Resources(Decimal(6)))),
    ):
        assert refusal(one, view) is refused
    assert lasting_refusal(one, replaced(fit, state=ClusterState.LOST)) is None
    assert refusal(one, replaced(fit, namespaces=("other", "team"))) is None
