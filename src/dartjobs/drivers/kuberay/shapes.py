"""The few fields of Kubernetes's objects that we read: `msgspec` skips the rest, which is most of the work."""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from dartjobs.drivers.kuberay.names import ATTEMPT, NODE_TYPE

RAY_CONTAINERS = frozenset({"ray-head", "ray-worker"})
"""What we call the containers in which Ray runs."""


class Shape(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Immutable; its fields are named as in Kubernetes's JSON, and a null means the default."""


class Metadata(Shape, frozen=True):
    """`ObjectMeta`."""

    name: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None

    @property
    def attempt_id(self) -> str:
        """By our own label; empty without it."""
        return (self.labels or {}).get(ATTEMPT, "")


class Condition(Shape, frozen=True):
    """Of a pod or of a RayCluster."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class Waiting(Shape, frozen=True):
    """`ContainerStateWaiting`."""

    reason: str | None = None
    message: str | None = None


class Terminated(Shape, frozen=True):
    """`ContainerStateTerminated`."""

    exit_code: int = 0
    reason: str | None = None
    message: str | None = None


class ContainerState(Shape, frozen=True):
    """One of them is set, or none."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(Shape, frozen=True):
    """`ContainerStatus`."""

    name: str
    state: ContainerState | None = None
    restart_count: int = 0


class PodStatus(Shape, frozen=True):
    """`PodStatus`."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    conditions: list[Condition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Thing(Shape, frozen=True):
    """Any object; enough of it to know that it is there."""

    metadata: Metadata = Metadata()


class Pod(Thing, frozen=True):
    """A pod."""

    status: PodStatus = PodStatus()

    @property
    def is_head(self) -> bool:
        """Whether KubeRay made it as a head."""
        return (self.metadata.labels or {}).get(NODE_TYPE) == "head"

    @property
    def lives(self) -> bool:
        """Whether Ray may still run in it; in one that is being deleted it may, until it is gone.

        The autoscaler's container may outlive Ray's: the pod's phase alone does not tell.
        """
        return self.status.phase not in {"Failed", "Succeeded"} and not self._ray_has_ended

    @property
    def _ray_has_ended(self) -> bool:
        ended = {one.name for one in self.status.container_statuses or [] if one.state and one.state.terminated}
        return bool(ended & RAY_CONTAINERS)


class RayClusterStatus(Shape, frozen=True):
    """`RayClusterStatus` of KubeRay."""

    conditions: list[Condition] | None = None


class RayCluster(Thing, frozen=True):
    """KubeRay's object."""

    status: RayClusterStatus = RayClusterStatus()


class NodeSpec(Shape, frozen=True):
    """`NodeSpec`."""

    unschedulable: bool = False


class NodeStatus(Shape, frozen=True):
    """`NodeStatus`."""

    allocatable: dict[str, str] | None = None


class Node(Thing, frozen=True):
    """A node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


T = TypeVar("T", bound=Thing)


class Listing(Shape, Generic[T], frozen=True):
    """What a LIST answers."""

    metadata: Metadata
    items_or_null: list[T] | None = msgspec.field(default=None, name="items")

    @property
    def items(self) -> list[T]:
        """In Go an empty list may be null."""
        return self.items_or_null or []


class Event(Shape, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class Status(Shape, frozen=True):
    """Kubernetes's word on a request that it did not do (`metav1.Status`)."""

    kind: str = ""
    code: int = 0
    reason: str | None = None
    message: str | None = None


_STATUS = msgspec.json.Decoder(Status)


def decode_status(body: bytes) -> Status | None:
    """The Status in an answer; None if it holds none."""
    try:
        found = _STATUS.decode(body)
    except msgspec.MsgspecError:
        return None
    return found if found.kind == "Status" else None


def encode(body: dict[str, Any]) -> bytes:
    """As JSON."""
    return msgspec.json.encode(body)
