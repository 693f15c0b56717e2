"""From the wire's JSON to the models that a Python program is given."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dartjobs.client.effects import Call, Emit, Json, Stream
from dartjobs.models.cluster import Cluster
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Attempt, Job, Transition

_S = TypeVar("_S")
_T = TypeVar("_T")
_Q = TypeVar("_Q")
_R = TypeVar("_R")

as_job: Callable[[Json], Job] = Job.model_validate
as_cluster: Callable[[Json], Cluster] = Cluster.model_validate
as_explanation: Callable[[Json], Explanation] = Explanation.model_validate


def as_transitions(items: Iterable[Json]) -> tuple[Transition, ...]:
    """A job's moves."""
    return tuple(map(Transition.model_validate, items))


def as_attempts(items: Iterable[Json]) -> tuple[Attempt, ...]:
    """A job's attempts."""
    return tuple(map(Attempt.model_validate, items))


def as_clusters(items: Iterable[Json]) -> tuple[Cluster, ...]:
    """Clusters."""
    return tuple(map(as_cluster, items))


def as_event(event: tuple[str, Json]) -> Transition | Job:
    """What a watch tells."""
    kind, data = event
    return as_job(data) if kind == "job" else Transition.model_validate(data)


def unchanged(value: _T) -> _T:
    """As it is."""
    return value


def call(flow: Call[_Q], read: Callable[[_Q], _R]) -> Call[_R]:
    """The flow, with its result read."""
    return read((yield from flow))


def stream(flow: Stream[_S, _Q], read: Callable[[_S], _T], result: Callable[[_Q], _R]) -> Stream[_T, _R]:
    """The flow, with what it emits and its result read."""
    answer: Any = None
    while True:
        try:
            effect = flow.send(answer)
        except StopIteration as end:
            return result(end.value)
        answer = yield Emit(read(effect.value)) if isinstance(effect, Emit) else effect
