"""What pods say, as their owner is told it. The objects are shaped as a kubelet writes them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from dartjobs.core.queueing import Resources
from dartjobs.core.world import Observation
from dartjobs.drivers.kuberay.reading import Seen, allocatable, death_of, observation
from dartjobs.drivers.kuberay.shapes import Node, Pod, RayCluster, Thing
from dartjobs.models.reason import Reason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATIENCE = timedelta(minutes=2)
CLUSTER = msgspec.convert({"metadata": {"name": "a", "uid": "cluster-1"}}, RayCluster)
HEAD = {"ray.io/node-type": "head"}


def pod(uid: str = "head-1", labels: dict[str, str] | None = None, **status: Any) -> Pod:
    metadata = {"name": uid, "uid": uid, "labels": HEAD if labels is None else labels}
    return msgspec.convert({"metadata": metadata, "status": {"phase": "Pending", **status}}, Pod)


def waiting(reason: str, message: str | None = None) -> list[dict[str, Any]]:
    return [{"name": "ray-head", "state": {"waiting": {"reason": reason, "message": message}}}]


def ended(name: str, code: int, reason: str, message: str | None = None) -> list[dict[str, Any]]:
    return [{"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}]


def look(*pods: Pod, cluster: RayCluster | None = CLUSTER, dead: tuple[str, ...] = ()) -> Observation:
    return observation(Seen(cluster, pods, (), dead), NOW, PATIENCE)


def test_nothing_is_nothing() -> None:
    assert look(cluster=None) == Observation()
    marker = Seen(None, (), (Thing(),), ())
    assert observation(marker, NOW, PATIENCE) == Observation(leftovers=True)


def test_the_head_is_known_by_its_uid_while_anything_of_it_may_run() -> None:
    worker = pod("worker-1", {"ray.io/node-type": "worker"})
    going = msgspec.convert(
        {"metadata": {"name": "h", "uid": "old", "labels": HEAD, "deletionTimestamp": "2026-01-02T03:04:05Z"}}, Pod
    )
    assert look(worker, pod()).head_uid == "head-1"
    assert look(going).head_uid == "old"
    assert look(going, pod()).head_uid == "head-1"
    assert look(pod(phase="Failed"), worker).head_uid is None


@pytest.mark.parametrize(
    "reason", ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"]
)
def test_a_container_that_cannot_start_fails_at_once_in_its_own_words(reason: str) -> None:
    failure = look(pod(containerStatuses=waiting(reason, 'image "nope" not found'))).failure
    assert failure is not None
    assert failure.reason is Reason.IMAGE_FAILED
    assert f'{reason}: image "nope" not found' in failure.message


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "ErrImagePull"])
def test_a_container_that_may_still_start_is_waited_for(reason: str) -> None:
    assert look(pod(containerStatuses=waiting(reason))).failure is None


@pytest.mark.parametrize(("seconds", "failed"), [(119, False), (120, True)])
def test_a_head_without_room_has_its_time(seconds: int, *, failed: bool) -> None:
    since = (NOW - timedelta(seconds=seconds)).isoformat()
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    failure = look(pod(conditions=[full | {"lastTransitionTime": since}])).failure
    assert (failure is not None) is failed
    if failure is not None:
        assert failure.reason is Reason.NO_ROOM
        assert "0/1 nodes" in failure.message


@pytest.mark.parametrize(
    ("words", "reason"),
    [("pods is forbidden: exceeded quota: few", Reason.NO_ROOM), ("some webhook denied it", Reason.HEAD_FAILED)],
)
def test_a_head_that_kuberay_cannot_make_fails_with_what_it_was_told(words: str, reason: Reason) -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": words}
    cluster = msgspec.convert({"metadata": {"uid": "c"}, "status": {"conditions": [condition]}}, RayCluster)
    failure = look(cluster=cluster).failure
    assert failure is not None
    assert failure.reason is reason
    assert words in failure.message
    assert look(pod(), cluster=cluster).failure is None


def test_how_a_head_died_is_told() -> None:
    assert death_of(pod()) is None
    assert death_of(pod(phase="Failed", containerStatuses=ended("ray-head", 137, "OOMKilled"))) == (
        "container ray-head: exit code 137, OOMKilled"
    )
    evicted = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert death_of(evicted) == "Evicted The node was low on resource: memory."
    broken = pod(phase="Failed", initContainerStatuses=ended("init", 1, "Error", "no such host"))
    assert death_of(broken) == "container init: exit code 1: no such host"


def test_a_head_of_which_only_the_autoscaler_runs_is_dead() -> None:
    half = pod(phase="Running", containerStatuses=ended("ray-head", 137, "OOMKilled"))
    assert look(half).head_uid is None
    assert death_of(half) == "container ray-head: exit code 137, OOMKilled"
    assert look(pod(phase="Running", containerStatuses=ended("autoscaler", 1, "Error"))).head_uid == "head-1"


def test_a_head_that_died_fails_unless_kuberay_has_made_another() -> None:
    failure = look(dead=("OOMKilled",)).failure
    assert failure is not None
    assert failure.reason is Reason.HEAD_FAILED
    assert "OOMKilled" in failure.message
    assert look(pod(), dead=("OOMKilled",)).failure is None
    often = look(pod(), dead=("one", "two", "three")).failure
    assert often is not None
    assert "3 times; the last time: three" in often.message


def test_a_ray_cluster_that_is_being_deleted_has_not_failed() -> None:
    metadata = {"uid": "c", "deletionTimestamp": "2026-01-02T03:04:05Z"}
    going = msgspec.convert({"metadata": metadata}, RayCluster)
    assert look(cluster=going, dead=("killed",)).failure is None


def test_capacity_is_what_nodes_that_take_pods_have() -> None:
    def node(has: dict[str, str], *, cordoned: bool = False) -> Node:
        return msgspec.convert({"spec": {"unschedulable": cordoned}, "status": {"allocatable": has}}, Node)

    gpus = {"cpu": "8", "memory": "1000Ki", "nvidia.com/gpu": "2"}
    nodes = [node({"cpu": "1930m", "memory": "1Gi"}), node(gpus), node({"cpu": "64"}, cordoned=True), node({})]
    assert allocatable(nodes) == Resources(Decimal("9.93"), 2**30 + 1_024_000, 2)
