"""Who goes next, and whether it fits: placement as pure arithmetic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dartjobs.models.quantity import format_cpu, format_memory
from dartjobs.models.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of what is scarce: cores, bytes, GPUs. Custom resources are what a node declares, so never scarce."""

    cpu: Decimal = Decimal(0)
    memory: int = 0
    gpu: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.gpu + other.gpu)

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.cpu - other.cpu, self.memory - other.memory, self.gpu - other.gpu)

    def fits(self, room: "Resources") -> bool:
        """Whether this much is there in `room`."""
        return self.cpu <= room.cpu and self.memory <= room.memory and self.gpu <= room.gpu

    def __str__(self) -> str:
        text = f"{format_cpu(self.cpu)} CPU, {format_memory(self.memory)} memory"
        return f"{text}, {self.gpu} GPU" if self.gpu else text


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cluster has in all."""

    total: Resources
    elastic: bool = False
    """It may grow, so that nothing is too large for good."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as placement sees it."""

    name: str
    capacity: Capacity
    used: Resources = Resources()
    labels: dict[str, str] = field(default_factory=dict)
    schedulable: bool = True

    @property
    def free(self) -> Resources:
        """What no live attempt has been promised."""
        return self.capacity.total - self.used


@dataclass(frozen=True, slots=True)
class Queued:
    """A queued attempt as placement sees it."""

    attempt_id: str
    need: Resources
    selector: Mapping[str, str] = field(default_factory=dict)


def demand(spec: JobSpec) -> Resources:
    """What a job needs to be placed: its head and each group's starting size."""
    total = Resources(spec.head.cpu, spec.head.memory, spec.head.gpu)
    for group in spec.workers:
        count = starting_replicas(group.min_replicas)
        total += Resources(group.cpu * count, group.memory * count, group.gpu * count)
    return total


def starting_replicas(min_replicas: int) -> int:
    """How many workers a group begins with, and keeps where nothing scales it: its minimum, but one at least."""
    return max(min_replicas, 1)


def matches(spec: JobSpec, cluster: ClusterView) -> bool:
    """Whether the job's cluster selector allows this cluster."""
    return spec.cluster_selector.items() <= cluster.labels.items()


def choose(queue: Iterable[Queued], cluster: ClusterView) -> list[Queued]:
    """Which of the queue, in its order, this cluster takes now.

    One that does not fit does not block those behind it (Kueue's `BestEffortFIFO`).
    """
    if not cluster.schedulable:
        return []
    room = cluster.free
    chosen: list[Queued] = []
    for queued in queue:
        if queued.selector.items() <= cluster.labels.items() and queued.need.fits(room):
            chosen.append(queued)
            room -= queued.need
    return chosen


def never_fits(spec: JobSpec, clusters: Iterable[ClusterView]) -> str | None:
    """Why no known cluster could ever run this job, even empty; None if one could, or none is known yet."""
    known = list(clusters)
    if not known:
        return None
    need = demand(spec)
    if any(matches(spec, one) and (one.capacity.elastic or need.fits(one.capacity.total)) for one in known):
        return None
    offers = "; ".join(
        f"{one.name} has {one.capacity.total}"
        if matches(spec, one)
        else f"{one.name} lacks the labels of cluster_selector"
        for one in known
    )
    return f"The job asks for {need}, and no cluster could ever give it: {offers}."


def why_queued(spec: JobSpec, clusters: Iterable[ClusterView]) -> str:
    """Why the job waits, in one sentence for its user."""
    known = list(clusters)
    if not known:
        return "No cluster is registered yet."
    impossible = never_fits(spec, known)
    if impossible:
        return impossible
    need = demand(spec)
    parts = []
    for one in known:
        if not matches(spec, one):
            parts.append(f"{one.name} lacks the labels of cluster_selector")
        elif not one.schedulable:
            parts.append(f"{one.name} takes no jobs now")
        elif need.fits(one.free):
            parts.append(f"{one.name} has room and is about to take it")
        else:
            parts.append(f"{one.name} has {one.free} free of {one.capacity.total}")
    return f"Waiting for {need}: {'; '.join(parts)}."
