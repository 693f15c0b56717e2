"""What is seen of an attempt, and what can be done about it: the inputs and outputs of `decide`."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any

from dartjobs.models.job import Attempt, RequeueIntent, StopIntent
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import Pair


class RayJobStatus(StrEnum):
    """Ray's own status of a submitted job (`ray.job_submission.JobStatus`), and `ABSENT` for a 404."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABSENT = "ABSENT"


@dataclass(frozen=True, slots=True)
class RayJob:
    """What the Jobs API of the head says about the submitted driver."""

    status: RayJobStatus
    message: str = ""
    error_type: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something cannot come up, in the words of what refused it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at what a cluster holds for one attempt. `None` means absent only where `reachable`."""

    reachable: bool = True
    cluster_uid: str | None = None
    """The Ray cluster object's; None: there is none."""
    head_uid: str | None = None
    """The head's; None: there is no living head."""
    head_answers: bool = False
    """The Jobs API of that head answered."""
    failure: Failure | None = None
    """Why the head cannot come up, where that is known."""
    ray_job: RayJob | None = None
    """None: not asked, or no answer. Read from the head that has `head_uid`."""
    leftovers: bool = False
    """Anything of the attempt is still there: objects, processes, files."""


UNREACHABLE = Observation(reachable=False)


@dataclass(frozen=True, slots=True)
class Started:
    """The runner's start report."""

    at: datetime
    head_uid: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The runner's exit report."""

    at: datetime
    code: int
    """As a shell shows it: 128 + the signal's number for a signal."""
    signal: str | None = None
    stopping: bool = False
    """The runner had seen a SIGTERM before the driver's end."""
    error: str | None = None
    """Why the entrypoint could not be started, if so."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runner reported through the gateway."""

    start: Started | None = None
    exit: Exited | None = None
    silent_since: datetime | None = None
    """When the gateway noticed that the runner had fallen silent; None while it is heard."""
    log_end: int | None = None
    """Bytes of the finished log, once nothing will be added."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that `decide` may look at."""

    attempt: Attempt
    spec: JobSpec
    submitted_at: datetime
    """The job's, over all attempts."""
    now: datetime
    """The database's clock."""
    observation: Observation
    evidence: Evidence = Evidence()
    stop: StopIntent | None = None
    requeue: RequeueIntent | None = None
    """The job's last one; it may mean an earlier attempt."""
    blind_seconds: float = 0.0
    """The cluster's sum of time in which its Sync Service saw nothing."""
    superseded: bool = False
    """A later attempt of the job was recorded: nobody debugs this one's cluster."""
    impossible: str | None = None
    """Why no cluster could ever run a queued attempt; None where one could."""


class Act(Enum):
    """An effect on the cluster, or a mark on the row. Each may be repeated: it finds what an earlier try made."""

    CREATE = auto()
    """Create the Ray cluster under the attempt's name, or adopt it."""
    SUBMIT = auto()
    """Read UIDs, put the package, read UIDs again, commit the submit intent, submit once."""
    RESUBMIT = auto()
    """Submit again under the committed intent: its reply was lost and Ray never heard of it."""
    RECORD_SEEN = auto()
    """Record that Ray knows the driver: from here on it is never submitted again."""
    STOP_DRIVER = auto()
    """Ask Ray to stop the driver (SIGTERM to its tree), and record when."""
    KILL_HEAD = auto()
    """Delete the head by UID: the driver dies with it."""
    SEAL_LOG = auto()
    """Mark the gap at the log's end: its last bytes will never come."""
    DELETE = auto()
    """Delete everything of the attempt, with a UID precondition."""


@dataclass(frozen=True, slots=True)
class Move:
    """Record this transition."""

    target: Pair
    reason: Reason
    message: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    """Further fields of the attempt to set in the same transaction: exit_code, signal, stop_cause, …"""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless a hint comes first."""

    until: datetime


Decision = Move | Act | Wait
