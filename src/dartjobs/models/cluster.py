"""Clusters, as the API shows them to operators and takes their settings."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from dartjobs.models.job import Record
from dartjobs.models.quantity import Cpu, Memory
from dartjobs.models.spec import DnsLabel, LabelKey, LabelValue

ClusterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]


class ClusterState(StrEnum):
    """What a cluster is to placement."""

    READY = "READY"
    """It takes jobs that fit."""
    CORDONED = "CORDONED"
    """An operator wants no new jobs on it; those that run go on."""
    UNREACHABLE = "UNREACHABLE"
    """Its Sync Service cannot see it, or is not heard of."""
    LOST = "LOST"
    """Declared lost: its attempts were ended, and it takes nothing until it is readmitted."""


class Placement(StrEnum):
    """To which other clusters a cluster leaves a job that it could take itself, for a few seconds."""

    FIRST = "first"
    """To none: who comes first takes it."""
    PACK = "pack"
    """To the fullest that has room for it, so that others can be emptied."""
    SPREAD = "spread"
    """To the emptiest."""


class Amount(Record):
    """Cores, bytes, GPUs."""

    cpu: Cpu
    memory: Memory
    gpu: int = 0


class Limits(Record):
    """The most that a cluster may hold at once, all its live attempts together; null: no limit but what it has."""

    jobs: int | None = Field(default=None, ge=1, le=1_000_000, description="Attempts.")
    cpu: Cpu | None = None
    memory: Memory | None = None
    gpu: int | None = Field(default=None, ge=0, le=1_000_000)


class Settings(Record):
    """What an operator registered of a cluster; it wins over what its Sync Service says."""

    labels: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=64, description="Beside those of its Sync Service; of one key this value holds."
    )
    limits: Limits = Limits()
    namespaces: list[DnsLabel] = Field(
        default=[], max_length=1_000, description="Whose jobs may run there; empty: everybody's."
    )
    placement: Placement = Placement.FIRST


class LimitsRequest(Limits):
    """`Limits`, as a request has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SettingsRequest(Settings):
    """The body that registers a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: LimitsRequest = LimitsRequest()


class DrainRequest(Record):
    """The body of a drain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, StringConstraints(max_length=512)] = ""
    requeue: bool = Field(default=False, description="Send the attempts that run there back to the queue.")


class Cluster(Record):
    """One cluster."""

    name: str
    state: ClusterState
    identity: str | None = Field(
        default=None,
        description="Of this very cluster, pinned when it was first seen; one that is made anew under its name has "
        "another. Null: it was never seen.",
    )
    labels: dict[str, str] = Field(default={}, description="What `cluster_selector` is matched with.")
    capacity: Amount
    used: Amount = Field(description="What its live attempts were promised.")
    limits: Limits = Limits()
    namespaces: list[str] = Field(default=[], description="Whose jobs may run there; empty: everybody's.")
    placement: Placement = Placement.FIRST
    elastic: bool = Field(default=False, description="It may grow.")
    attempts: int = Field(default=0, description="Live attempts on it.")
    cordoned: bool = Field(default=False, description="An operator wants no new jobs on it, whatever its state is.")
    seen_at: datetime | None = Field(default=None, description="When its Sync Service last saw it; null: never.")
    unreachable_since: datetime | None = None
    lost_at: datetime | None = None
    lost_by: str | None = None
    added_at: datetime | None = Field(default=None, description="Null: its Sync Service registered it by itself.")
    added_by: str | None = None


class ClusterList(Record):
    """Every cluster, by name."""

    items: list[Cluster]


class DrainResult(Record):
    """A page of a drain."""

    cluster: Cluster = Field(description="As it is now: it is empty once it has no `attempts`.")
    requeued: list[str] = Field(default=[], description="Jobs that this request sent back to the queue.")
    more: bool = Field(default=False, description="There are more to send back: ask again.")
