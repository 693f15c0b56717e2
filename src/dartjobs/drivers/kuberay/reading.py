"""What Kubernetes's objects say of an attempt: pure functions of what a watch knows."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from dartjobs.core.queueing import Resources
from dartjobs.core.world import Failure, Observation
from dartjobs.drivers.kuberay.shapes import Condition, ContainerStatus, Node, Pod, RayCluster, Thing
from dartjobs.models.quantity import parse_quantity
from dartjobs.models.reason import Reason

_UNUSABLE = {
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
"""Why a container waits for ever (kubelet's `pkg/kubelet/images/types.go`, `pkg/kubelet/container/sync_result.go`).

A first `ErrImagePull` is tried again by the kubelet itself; the second try's word is `ImagePullBackOff`.
"""
_MOST_HEADS = 3
"""KubeRay replaces a head that dies before all pods were ready: after so many deaths it will not come up."""
_QUOTA = "exceeded quota"
_ABOUT = {"Error", "Completed", None}
"""Reasons of a container's end that say nothing."""


class Seen(NamedTuple):
    """What is held of one attempt."""

    ray_cluster: RayCluster | None
    pods: Sequence[Pod]
    markers: Sequence[Thing]
    """ConfigMaps."""
    dead_heads: Sequence[str]
    """How each head that died has died, in words."""


def head_of(pods: Iterable[Pod]) -> Pod | None:
    """The living head; the one that is not being deleted, where there are two."""
    heads = [pod for pod in pods if pod.is_head and pod.lives]
    heads.sort(key=lambda pod: pod.metadata.deletion_timestamp is not None)
    return heads[0] if heads else None


def observation(seen: Seen, now: datetime, patience: timedelta) -> Observation:
    """One look; `now` by this machine's clock, `patience` is how long a head may have no room."""
    head = head_of(seen.pods)
    return Observation(
        cluster_uid=seen.ray_cluster.metadata.uid if seen.ray_cluster is not None else None,
        head_uid=head.metadata.uid if head is not None else None,
        failure=failure(seen, head, now, patience),
        leftovers=seen.ray_cluster is not None or bool(seen.pods) or bool(seen.markers),
    )


def failure(seen: Seen, head: Pod | None, now: datetime, patience: timedelta) -> Failure | None:
    """Why the head cannot come up, in the words of what stands in its way."""
    if seen.ray_cluster is None or seen.ray_cluster.metadata.deletion_timestamp is not None:
        return None
    if head is not None:
        found = _unusable(head) or _unschedulable(head, now, patience)
        if found is not None:
            return found
    dead = list(seen.dead_heads)
    if dead and (head is None or len(dead) >= _MOST_HEADS):
        times = f"{len(dead)} times; the last time: " if len(dead) > 1 else ""
        return Failure(Reason.HEAD_FAILED, f"The head's pod died {times}{dead[-1]}")
    return _refused(seen.ray_cluster, now, patience) if head is None else None


def death_of(pod: Pod) -> str | None:
    """How a pod died, in words; None while it lives."""
    if pod.lives or pod.status.phase == "Succeeded":
        return None
    own = " ".join(one for one in (pod.status.reason, pod.status.message) if one)
    ends = [_end(one) for one in _containers(pod) if one.state is not None and one.state.terminated is not None]
    words = [one for one in [own, *ends] if one]
    return "; ".join(words) or "and Kubernetes does not say why"


def allocatable(nodes: Iterable[Node]) -> Resources:
    """What pods may have in all, on nodes that take pods."""
    total = Resources()
    for node in nodes:
        if not node.spec.unschedulable:
            has = node.status.allocatable or {}
            cpu, memory = (parse_quantity(has.get(name, "0")) for name in ("cpu", "memory"))
            total += Resources(cpu.quantize(Decimal("0.001")), int(memory), int(has.get("nvidia.com/gpu", "0")))
    return total


def _unusable(pod: Pod) -> Failure | None:
    for one in _containers(pod):
        waiting = one.state.waiting if one.state is not None else None
        if waiting is not None and waiting.reason in _UNUSABLE:
            words = f"{waiting.reason}: {waiting.message}" if waiting.message else waiting.reason
            return Failure(Reason.IMAGE_FAILED, f"Container {one.name} of the head cannot start: {words}")
    return None


def _unschedulable(pod: Pod, now: datetime, patience: timedelta) -> Failure | None:
    for one in pod.status.conditions or []:
        if one.type == "PodScheduled" and one.status == "False" and _is_old(one, now, patience):
            return Failure(Reason.NO_ROOM, f"The head's pod found no node: {one.message or one.reason}")
    return None


def _refused(ray_cluster: RayCluster, now: datetime, patience: timedelta) -> Failure | None:
    """KubeRay could not make the head's pod."""
    for one in ray_cluster.status.conditions or []:
        if one.type == "ReplicaFailure" and one.status == "True" and _is_old(one, now, patience):
            words = one.message or one.reason or ""
            reason = Reason.NO_ROOM if _QUOTA in words else Reason.HEAD_FAILED
            return Failure(reason, f"KubeRay could not make the head's pod: {words}")
    return None


def _is_old(condition: Condition, now: datetime, patience: timedelta) -> bool:
    since = condition.last_transition_time
    return since is None or now - since >= patience


def _containers(pod: Pod) -> list[ContainerStatus]:
    return [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]


def _end(one: ContainerStatus) -> str:
    ended = one.state.terminated if one.state is not None else None
    if ended is None or (ended.exit_code == 0 and ended.reason in _ABOUT):
        return ""
    said = [f"exit code {ended.exit_code}", *([ended.reason] if ended.reason not in _ABOUT else [])]
    return f"container {one.name}: {', '.join(filter(None, said))}" + (f": {ended.message}" if ended.message else "")
