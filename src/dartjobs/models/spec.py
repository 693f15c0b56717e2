"""What a user asks for: the `JobSpec`, `apiVersion: dartjobs/v1`. It never changes after submission."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dartjobs.models.quantity import Cpu, Duration, Memory
from dartjobs.models.reason import Category

API_VERSION: Literal["dartjobs/v1"] = "dartjobs/v1"
DEFAULT_PROFILE = "default"
"""What every cluster has, whether its operator says something about it or not."""
GIBIBYTE = 2**30
MOST_MEMORY = 2**49
MOST_CPU = 1_000_000
MOST_NODES = 16_000
"""Workers of all groups together: so many of the largest nodes are still counted exactly, in 63 bits of bytes."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
"""A DNS-1123 label, as Kubernetes names objects: lower case letters, digits and `-`, at most 63 characters."""
LabelKey = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
PackageRef = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A package by the SHA-256 of its bytes, as `PUT …/packages/{ref}` stored it."""
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,255}$")]
ResourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:/-]{0,127}$")]
NonEmpty = Annotated[str, StringConstraints(min_length=1, max_length=32_768)]
Text = Annotated[str, StringConstraints(max_length=4_096)]

RESERVED_ENV_PREFIXES = ("DARTJOBS_", "RAY_JOB_STOP_", "RAY_JOB_CONFIG_")
RESERVED_RESOURCES = frozenset({"CPU", "GPU", "memory", "object_store_memory"})


class Strict(BaseModel):
    """Immutable, and refuses a field that it does not know, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def __hash__(self) -> int:
        """One for all of a class: pydantic copies a default that has none, deeply and for each job."""
        return hash(type(self))


class RuntimeEnv(Strict):
    """The part of Ray's runtime_env that a job may ask for."""

    pip: list[NonEmpty] = Field(default=[], max_length=500, description="Requirements, installed by pip.")
    uv: list[NonEmpty] = Field(default=[], max_length=500, description="Requirements, installed by uv.")
    env_vars: dict[EnvName, Annotated[str, StringConstraints(max_length=131_072)]] = Field(
        default={}, description="Environment of the driver and of every worker."
    )
    working_dir: str | None = Field(
        default=None,
        max_length=4_096,
        description="The code: `sha256:…` of an uploaded package. Client and CLI also take a folder and upload it.",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.pip and self.uv:
            msg = "pip and uv exclude each other: put every requirement under one of them"
            raise ValueError(msg)
        for name in self.env_vars:
            if name.startswith(RESERVED_ENV_PREFIXES):
                msg = f"env_vars.{name} is set by the platform: choose another name"
                raise ValueError(msg)
        return self


class NodeResources(Strict):
    """What one node of the Ray cluster has."""

    cpu: Cpu = Decimal(1)
    memory: Memory = 2 * GIBIBYTE
    gpu: int = Field(default=0, ge=0, le=1_024)
    resources: dict[ResourceName, Annotated[float, Field(gt=0, le=1e9)]] = Field(
        default={}, description="Custom resources, as Ray's `--resources`."
    )

    @model_validator(mode="after")
    def _is_a_node(self) -> Self:
        taken = sorted(RESERVED_RESOURCES & self.resources.keys())
        if taken:
            msg = f"resources.{taken[0]} has a field of its own: use cpu, gpu or memory"
            raise ValueError(msg)
        if not GIBIBYTE // 2 <= self.memory <= MOST_MEMORY:
            msg = "memory: a Ray node needs at least 512Mi, and has at most 512Ti"
            raise ValueError(msg)
        if self.cpu > MOST_CPU:
            msg = f"cpu: a node has at most {MOST_CPU} cores"
            raise ValueError(msg)
        return self


class HeadGroup(NodeResources):
    """The head: the driver and Ray's own services run here."""


class WorkerGroup(NodeResources):
    """Workers of one kind; the autoscaler keeps their number between the two bounds."""

    name: DnsLabel = "workers"
    min_replicas: int = Field(default=1, ge=0, le=10_000)
    max_replicas: int = Field(default=1, ge=1, le=10_000)

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            msg = f"min_replicas ({self.min_replicas}) is above max_replicas ({self.max_replicas})"
            raise ValueError(msg)
        return self


class Timeouts(Strict):
    """Limits on time: `job` counts from submission over all attempts, the others from the entry into a state."""

    job: Duration | None = Field(default=None, description="Total time since submission; none by default.")
    queued: Duration | None = Field(default=None, description="Waiting for a cluster; none by default.")
    creating: Duration = timedelta(minutes=10)
    starting: Duration = timedelta(minutes=20)
    stopping: Duration = timedelta(minutes=10)


class Retries(Strict):
    """How often an attempt may be tried again, by the category of its failure."""

    user: int = Field(default=0, ge=0, le=100)
    user_env: int = Field(default=0, ge=0, le=100)
    infrastructure: int = Field(default=0, ge=0, le=100)
    capacity: int = Field(default=0, ge=0, le=100)
    timeout: int = Field(default=0, ge=0, le=100)
    backoff: Duration = timedelta(seconds=10)

    def limit(self, category: Category) -> int:
        """How many retries a failure of this category may have over the job's life."""
        return {
            Category.USER: self.user,
            Category.USER_ENV: self.user_env,
            Category.INFRASTRUCTURE: self.infrastructure,
            Category.CAPACITY: self.capacity,
            Category.TIMEOUT: self.timeout,
        }.get(category, 0)


class JobSpec(Strict):
    """A job, as a user writes it in YAML, with flags, or in Python."""

    api_version: Literal["dartjobs/v1"] = Field(default=API_VERSION, alias="apiVersion")
    name: DnsLabel = "job"
    entrypoint: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=1_000)] = Field(
        description="A line for `/bin/sh -c`, or a list: a program and its arguments, run without a shell."
    )
    runtime_env: RuntimeEnv = RuntimeEnv()
    head: HeadGroup = HeadGroup()
    workers: list[WorkerGroup] = Field(default=[], max_length=100)
    timeouts: Timeouts = Timeouts()
    stop_grace_period: Duration = Field(
        default=timedelta(seconds=30), description="Between SIGTERM and SIGKILL, when the job is stopped."
    )
    ttl_after_finished: Duration = Field(
        default=timedelta(0), description="How long the finished job's Ray cluster is kept for debugging."
    )
    retries: Retries = Retries()
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000, description="Higher goes first.")
    cluster_selector: dict[LabelKey, LabelValue] = Field(default={}, description="Labels that the cluster must have.")
    profile: DnsLabel = Field(
        default=DEFAULT_PROFILE,
        description="What its pods get beyond this specification (volumes, tolerations, …), as the cluster's operator "
        "has named it.",
    )
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=64)
    annotations: dict[LabelKey, Text] = Field(default={}, max_length=64)
    metadata: dict[Text, Text] = Field(default={}, max_length=64, description="Shown in Ray's own job metadata.")

    @model_validator(mode="after")
    def _groups_are_possible_together(self) -> Self:
        if sum(group.max_replicas for group in self.workers) > MOST_NODES:
            msg = f"workers: more than {MOST_NODES:,} in all"
            raise ValueError(msg)
        names = [group.name for group in self.workers]
        if len(set(names)) != len(names):
            msg = "workers: two groups have one name; give each its own"
            raise ValueError(msg)
        return self
