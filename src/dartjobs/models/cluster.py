"""Clusters, as the API shows them to operators."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from dartjobs.models.job import Record
from dartjobs.models.quantity import Cpu, Memory

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


class Amount(Record):
    """Cores, bytes, GPUs."""

    cpu: Cpu
    memory: Memory
    gpu: int = 0


class Cluster(Record):
    """One cluster."""

    name: str
    state: ClusterState
    identity: str = Field(description="Of this very cluster; one that is made anew under the same name has another.")
    labels: dict[str, str] = Field(default={}, description="What `cluster_selector` is matched with.")
    capacity: Amount
    used: Amount = Field(description="What its live attempts were promised.")
    elastic: bool = Field(default=False, description="It may grow.")
    attempts: int = Field(default=0, description="Live attempts on it.")
    seen_at: datetime = Field(description="When its Sync Service last registered it.")
    unreachable_since: datetime | None = None
    lost_at: datetime | None = None
    lost_by: str | None = None


class ClusterList(Record):
    """Every cluster, by name."""

    items: list[Cluster]
