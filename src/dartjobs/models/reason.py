"""Why an attempt is where it is: a closed list of reasons, each with its category and its advice."""

from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """Who has to act on a failure; retries are decided on this."""

    USER = "USER"
    """The code failed."""
    USER_ENV = "USER_ENV"
    """Its environment could not be made: image, runtime_env, entrypoint, package."""
    INFRASTRUCTURE = "INFRASTRUCTURE"
    """Machines, pods or whole clusters were lost."""
    CAPACITY = "CAPACITY"
    """There is no room for what was asked."""
    TIMEOUT = "TIMEOUT"
    """A deadline passed."""
    STOPPED = "STOPPED"
    """Somebody asked for it."""
    INTERNAL = "INTERNAL"
    """A fault of this platform."""


class Reason(StrEnum):
    """What led to a move; stable, searchable, on the wire as it is."""

    SUBMITTED = "SUBMITTED"
    RETRIED = "RETRIED"
    CLAIMED = "CLAIMED"
    HEAD_READY = "HEAD_READY"
    DRIVER_STARTED = "DRIVER_STARTED"
    COMPLETED = "COMPLETED"
    DRIVER_FAILED = "DRIVER_FAILED"
    DRIVER_KILLED = "DRIVER_KILLED"
    RUNTIME_ENV_FAILED = "RUNTIME_ENV_FAILED"
    ENTRYPOINT_FAILED = "ENTRYPOINT_FAILED"
    PACKAGE_MISSING = "PACKAGE_MISSING"
    IMAGE_FAILED = "IMAGE_FAILED"
    HEAD_FAILED = "HEAD_FAILED"
    HEAD_LOST = "HEAD_LOST"
    RESOURCES_DELETED = "RESOURCES_DELETED"
    CLUSTER_LOST = "CLUSTER_LOST"
    EXCEEDS_CAPACITY = "EXCEEDS_CAPACITY"
    NO_ROOM = "NO_ROOM"
    DRIVER_UNSCHEDULABLE = "DRIVER_UNSCHEDULABLE"
    JOB_TIMEOUT = "JOB_TIMEOUT"
    QUEUED_TIMEOUT = "QUEUED_TIMEOUT"
    CREATING_TIMEOUT = "CREATING_TIMEOUT"
    START_TIMEOUT = "START_TIMEOUT"
    USER_STOP = "USER_STOP"
    PREEMPTED = "PREEMPTED"
    DRAINED = "DRAINED"
    REQUEUED = "REQUEUED"
    SUBMIT_REFUSED = "SUBMIT_REFUSED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    TTL_OVER = "TTL_OVER"
    DELETED = "DELETED"

    @property
    def category(self) -> Category | None:
        """Who has to act; None where nothing is wrong."""
        return FACTS[self].category

    @property
    def advice(self) -> str:
        """What its user can do next; empty where there is nothing to do."""
        return FACTS[self].advice


class Facts(NamedTuple):
    """What is fixed for a reason."""

    category: Category | None
    meaning: str
    advice: str = ""


_C = Category

FACTS: dict[Reason, Facts] = {
    Reason.SUBMITTED: Facts(None, "the job was recorded"),
    Reason.RETRIED: Facts(None, "another attempt was recorded after one that ended"),
    Reason.CLAIMED: Facts(None, "a cluster with room took the attempt"),
    Reason.HEAD_READY: Facts(None, "the head of the Ray cluster answers"),
    Reason.DRIVER_STARTED: Facts(None, "the entrypoint was started"),
    Reason.COMPLETED: Facts(None, "the entrypoint exited with 0"),
    Reason.DRIVER_FAILED: Facts(
        _C.USER,
        "the entrypoint exited with a code other than 0",
        "Read the end of its log: `dartjobs logs JOB --tail 50`.",
    ),
    Reason.DRIVER_KILLED: Facts(
        _C.USER,
        "a signal ended the entrypoint, and nobody had asked for a stop",
        "SIGKILL often means that memory ran out: ask for more (`--memory`), or read the end of the log.",
    ),
    Reason.RUNTIME_ENV_FAILED: Facts(
        _C.USER_ENV,
        "Ray could not build the runtime_env",
        "Mend runtime_env (pip, uv) as the message says; submit again.",
    ),
    Reason.ENTRYPOINT_FAILED: Facts(
        _C.USER_ENV,
        "the entrypoint could not be started",
        "Check the program's name and that it is in the working directory.",
    ),
    Reason.PACKAGE_MISSING: Facts(
        _C.USER_ENV, "the working directory's package is not in the object store", "Submit again from the folder."
    ),
    Reason.IMAGE_FAILED: Facts(
        _C.USER_ENV,
        "the image could not be pulled, or no container be made of it",
        "Mend the image's name or its registry's credentials, as the message says; submit again.",
    ),
    Reason.HEAD_FAILED: Facts(
        _C.INFRASTRUCTURE,
        "the Ray head did not come up",
        "Submit again; if it happens twice, show the message to your operator.",
    ),
    Reason.HEAD_LOST: Facts(
        _C.INFRASTRUCTURE,
        "the Ray head went away while the job needed it",
        "Submit again, or let the platform do so: `--retry infrastructure=2`.",
    ),
    Reason.RESOURCES_DELETED: Facts(
        _C.INFRASTRUCTURE, "somebody deleted the Ray cluster by hand", "Find out who, then submit again."
    ),
    Reason.CLUSTER_LOST: Facts(_C.INFRASTRUCTURE, "the whole cluster was declared lost", "Submit again."),
    Reason.EXCEEDS_CAPACITY: Facts(
        _C.CAPACITY,
        "no cluster could run this, even if it were empty",
        "Ask for less (`--cpu`, `--memory`, `--gpu`, fewer workers), or for a larger cluster.",
    ),
    Reason.NO_ROOM: Facts(
        _C.CAPACITY,
        "the cluster that took the job had no room for its head",
        "Somebody else uses the cluster: try again later, or ask for less.",
    ),
    Reason.DRIVER_UNSCHEDULABLE: Facts(
        _C.CAPACITY, "the driver does not fit the head", "Ask for a larger head (`--cpu`, `--memory`, `--gpu`)."
    ),
    Reason.JOB_TIMEOUT: Facts(_C.TIMEOUT, "the job's total time is over", "Raise `--timeout`, or make the job faster."),
    Reason.QUEUED_TIMEOUT: Facts(
        _C.TIMEOUT, "no cluster had room in time", "Raise `timeouts.queued`, ask for less, or try when less is running."
    ),
    Reason.CREATING_TIMEOUT: Facts(
        _C.TIMEOUT,
        "the Ray cluster did not come up in time",
        "Submit again; raise `timeouts.creating` if images are large.",
    ),
    Reason.START_TIMEOUT: Facts(
        _C.TIMEOUT, "the driver did not start in time", "A large runtime_env may need more: raise `timeouts.starting`."
    ),
    Reason.USER_STOP: Facts(_C.STOPPED, "a user asked for the stop"),
    Reason.PREEMPTED: Facts(_C.STOPPED, "a job of higher priority took its place"),
    Reason.DRAINED: Facts(_C.STOPPED, "an operator emptied the cluster"),
    Reason.REQUEUED: Facts(_C.STOPPED, "an operator sent it back to the queue"),
    Reason.SUBMIT_REFUSED: Facts(
        _C.INTERNAL,
        "Ray refused the submission",
        "Show the message to your operator: the platform should have seen this.",
    ),
    Reason.INTERNAL_ERROR: Facts(
        _C.INTERNAL, "the platform itself failed", "Show the job's id to your operator; submit again."
    ),
    Reason.TTL_OVER: Facts(None, "the time for which the finished job's cluster was kept is over"),
    Reason.DELETED: Facts(None, "nothing of the attempt is left"),
}
"""Category, meaning and advice of every reason; the documentation's table is generated from it."""
