"""Placement: who goes next, what fits, and why somebody waits."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dartjobs.core.choosing import choose
from dartjobs.core.queueing import Capacity, ClusterView, Queued, Resources, demand, never_fits, why_queued
from dartjobs.models.cluster import ClusterState
from dartjobs.models.spec import GIBIBYTE, HeadGroup, JobSpec, WorkerGroup


def job(cpu: float = 1, memory: str = "1Gi", gpu: int = 0, **fields: object) -> JobSpec:
    head = HeadGroup.model_validate({"cpu": cpu, "memory": memory, "gpu": gpu})
    return JobSpec.model_validate({"entrypoint": "true", "head": head, **fields})


def cluster(cpu: int = 4, memory: int = 8, used: int = 0, *, elastic: bool = False, **labels: str) -> ClusterView:
    capacity = Capacity(Resources(Decimal(cpu), memory * GIBIBYTE), elastic)
    return ClusterView("local", capacity, Resources(Decimal(used)), labels)


def queue(*specs: JobSpec) -> list[Queued]:
    return [Queued(f"job-{number}", demand(spec), spec.cluster_selector) for number, spec in enumerate(specs)]


def test_one_that_does_not_fit_does_not_block_those_behind_it() -> None:
    chosen = choose(queue(job(cpu=3), job(cpu=9), job(cpu=1), job(cpu=1)), cluster())
    assert [one.attempt_id for one in chosen] == ["job-0", "job-2"]


def test_what_is_promised_is_not_given_twice() -> None:
    assert choose(queue(job(cpu=3)), cluster(used=2)) == []


def test_a_cordoned_cluster_takes_nothing() -> None:
    closed = ClusterView("local", cluster().capacity, state=ClusterState.CORDONED)
    assert choose(queue(job()), closed) == []
    assert "an operator cordoned it" in why_queued(job(), "team", [closed])


def test_a_selector_keeps_jobs_away() -> None:
    picky = job(cluster_selector={"zone": "a"})
    assert choose(queue(picky), cluster(zone="b")) == []
    assert len(choose(queue(picky), cluster(zone="a"))) == 1
    assert "lacks the labels" in why_queued(picky, "team", [cluster(zone="b")])


def test_workers_count_with_their_minimum_but_one_at_least() -> None:
    group = WorkerGroup(cpu=Decimal(2), memory=GIBIBYTE, min_replicas=0, max_replicas=4)
    assert demand(job(workers=[group])).cpu == 3
    assert demand(job(workers=[group.model_copy(update={"min_replicas": 3})])).cpu == 7


def test_what_can_never_fit_is_told_with_both_figures() -> None:
    text = never_fits(job(cpu=64), [cluster()])
    assert text is not None
    assert "64 CPU" in text
    assert "local has 4 CPU, 8Gi memory" in text
    assert never_fits(job(gpu=1), [cluster()]) is not None


def test_what_may_fit_later_is_not_given_up() -> None:
    assert never_fits(job(cpu=4), [cluster(used=4)]) is None
    assert never_fits(job(cpu=64), [cluster(elastic=True)]) is None
    assert never_fits(job(cpu=64), []) is None


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(0, 12))
def test_choices_fit_together_and_keep_the_order(cores: list[int], capacity: int) -> None:
    waiting = queue(*(job(cpu=number, memory="512Mi") for number in cores))
    view = ClusterView("local", Capacity(Resources(Decimal(capacity), 64 * GIBIBYTE)))
    chosen = choose(waiting, view)
    assert sum(one.need.cpu for one in chosen) <= capacity
    assert [one for one in waiting if one in chosen] == chosen
    left = capacity - sum(one.need.cpu for one in chosen)
    assert all(one.need.cpu > left for one in waiting if one not in chosen)
