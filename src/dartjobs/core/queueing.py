"""Who goes next, and whether it fits: placement as pure arithmetic. `core.choosing` says which cluster takes it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from dartjobs.models.cluster import Amount, Cluster, ClusterState, Limits, Placement
from dartjobs.models.explain import Refusal
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


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as placement sees it."""

    name: str
    capacity: Capacity
    used: Resources = Resources()
    labels: dict[str, str] = field(default_factory=dict)
    state: ClusterState = ClusterState.READY
    held: int = 0
    """Live attempts."""
    limits: Limits = NO_LIMITS
    namespaces: Sequence[str] = ()
    """Whose jobs may run there; empty: everybody's."""
    placement: Placement = Placement.FIRST

    @property
    def most(self) -> Resources:
        """What it may hold in all: of what may grow, as much as the operator allows."""
        total, limits = self.capacity.total, self.limits
        if self.capacity.elastic:
            return _limited(total, limits)
        capped = _limited(total, limits)
        return Resources(min(total.cpu, capped.cpu), min(total.memory, capped.memory), min(total.gpu, capped.gpu))

    @property
    def free(self) -> Resources:
        """What no live attempt has been promised, within its limits."""
        return self.most - self.used

    @property
    def has_room(self) -> bool:
        """Whether it is worth looking for what fits."""
        return self.free.cpu > 0 and self.free.memory > 0 and not self.is_full

    @property
    def is_full(self) -> bool:
        """Whether it holds as many attempts as it may."""
        return self.limits.jobs is not None and self.held >= self.limits.jobs

    def with_one_more(self, need: Resources) -> "ClusterView":
        """As it is once it has taken this much."""
        return replace(self, used=self.used + need, held=self.held + 1)


@dataclass(frozen=True, slots=True)
class Queued:
    """A queued attempt as placement sees it."""

    attempt_id: str
    need: Resources
    selector: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    avoid: str | None = None
    """The cluster on which the attempt before it failed, by no fault of the job's."""
    since: datetime | None = None
    """When it was first free to be taken."""


def demand(spec: JobSpec) -> Resources:
    """What a job needs to be placed, all of it at once: its head and each group's starting size."""
    total = Resources(spec.head.cpu, spec.head.memory, spec.head.gpu)
    for group in spec.workers:
        count = starting_replicas(group.min_replicas)
        total += Resources(group.cpu * count, group.memory * count, group.gpu * count)
    return total


def starting_replicas(min_replicas: int) -> int:
    """How many workers a group begins with, and keeps where nothing scales it: its minimum, but one at least."""
    return max(min_replicas, 1)


def wish(spec: JobSpec, namespace: str, avoid: str | None = None) -> Queued:
    """What a job is to placement, whichever its attempt."""
    return Queued("", demand(spec), spec.cluster_selector, namespace, avoid)


def view_of(cluster: Cluster) -> ClusterView:
    """A cluster as placement sees it; of one that was never seen nothing is known to be too large."""
    capacity = Capacity(_resources(cluster.capacity), elastic=cluster.elastic or cluster.identity is None)
    return ClusterView(
        cluster.name,
        capacity,
        _resources(cluster.used),
        cluster.labels,
        cluster.state,
        cluster.attempts,
        cluster.limits,
        cluster.namespaces,
        cluster.placement,
    )


def lasting_refusal(queued: Queued, cluster: ClusterView) -> Refusal | None:
    """Why this cluster could not take it even if it were empty, as it is set up now."""
    if not queued.selector.items() <= cluster.labels.items():
        return Refusal.SELECTOR
    if cluster.namespaces and queued.namespace not in cluster.namespaces:
        return Refusal.NAMESPACE
    grows = cluster.capacity.elastic and queued.need.fits(_limited(queued.need, cluster.limits))
    return None if grows or queued.need.fits(cluster.most) else Refusal.TOO_LARGE


def refusal(queued: Queued, cluster: ClusterView) -> Refusal | None:
    """Why this cluster does not take it now; None: it could. What lasts is told before what passes."""
    lasting = lasting_refusal(queued, cluster)
    if lasting is not None:
        return lasting
    if cluster.state is not ClusterState.READY:
        return Refusal(cluster.state.value)
    if cluster.is_full:
        return Refusal.LIMIT
    if queued.need.fits(cluster.free):
        return None
    return Refusal.LIMIT if queued.need.fits(cluster.capacity.total - cluster.used) else Refusal.NO_ROOM


def never_fits(spec: JobSpec, clusters: Iterable[ClusterView]) -> str | None:
    """Why no known cluster could ever run this job, even empty; None if one could, or none is known yet.

    What an operator has set, and can set otherwise at any moment (limits, namespaces), ends no job: it waits.
    """
    known = list(clusters)
    if not known:
        return None
    need = demand(spec)
    if any(_matches(spec, one) and (one.capacity.elastic or need.fits(one.capacity.total)) for one in known):
        return None
    offers = "; ".join(
        f"{one.name} has {one.capacity.total}"
        if _matches(spec, one)
        else f"{one.name} lacks the labels of cluster_selector"
        for one in known
    )
    return f"The job asks for {need}, and no cluster could ever give it: {offers}."


def why_queued(spec: JobSpec, namespace: str, clusters: Iterable[ClusterView]) -> str:
    """Why the job waits, in one sentence for its user."""
    known = list(clusters)
    if not known:
        return "No cluster is registered yet."
    impossible = never_fits(spec, known)
    if impossible:
        return impossible
    queued = wish(spec, namespace)
    parts = [f"{one.name} {words(refusal(queued, one), queued, one)}" for one in known]
    return f"Waiting for {queued.need}: {'; '.join(parts)}."


def words(refused: Refusal | None, queued: Queued, cluster: ClusterView) -> str:
    """What follows a cluster's name, or `It`: why it does not take this job now, or that it does."""
    match refused:
        case None:
            return f"has {cluster.free} free and is about to take it"
        case Refusal.SELECTOR:
            missing = sorted(queued.selector.items() - cluster.labels.items())
            return f"lacks the labels {', '.join(f'{key}={value}' for key, value in missing)}"
        case Refusal.NAMESPACE:
            return f"takes no jobs of namespace {queued.namespace}"
        case Refusal.TOO_LARGE if queued.need.fits(cluster.capacity.total) or cluster.capacity.elastic:
            return f"may hold no more than {_told(cluster.limits)}"
        case Refusal.TOO_LARGE:
            return f"has {cluster.capacity.total} even when it is empty"
        case Refusal.LIMIT if cluster.is_full:
            return f"holds {cluster.held} jobs, as many as it may"
        case Refusal.LIMIT:
            return f"has {cluster.free} left within its limits ({_told(cluster.limits)})"
        case Refusal.NO_ROOM:
            return f"has {cluster.free} free of {cluster.most}"
        case _:
            return _WORDS[refused]


def _told(limits: Limits) -> str:
    told = {
        "jobs": limits.jobs,
        "CPU": None if limits.cpu is None else format_cpu(limits.cpu),
        "memory": None if limits.memory is None else format_memory(limits.memory),
        "GPU": limits.gpu,
    }
    return ", ".join(f"{value} {unit}" for unit, value in told.items() if value is not None)


_WORDS = {
    Refusal.CORDONED: "takes no new jobs: an operator cordoned it",
    Refusal.UNREACHABLE: "cannot be seen now",
    Refusal.LOST: "was declared lost",
    Refusal.AVOIDED: "is left out at first: the attempt before failed there",
}


def _matches(spec: JobSpec, cluster: ClusterView) -> bool:
    return spec.cluster_selector.items() <= cluster.labels.items()


def _limited(total: Resources, limits: Limits) -> Resources:
    """The limits, and of what has none the total."""
    return Resources(
        total.cpu if limits.cpu is None else limits.cpu,
        total.memory if limits.memory is None else limits.memory,
        total.gpu if limits.gpu is None else limits.gpu,
    )


def _resources(amount: Amount) -> Resources:
    return Resources(amount.cpu, amount.memory, amount.gpu)
