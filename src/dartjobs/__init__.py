"""DART Jobs: distributed Ray jobs on many clusters, through one API.

`from dartjobs import Client, JobSpec`. What is named in `__all__` is loaded when it is first asked for, so that the
command line starts without HTTP and pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dartjobs.client.async_client import AsyncClient
    from dartjobs.client.errors import ConnectionFailedError, NotOurServerError, WaitTimeoutError
    from dartjobs.client.filters import Filters
    from dartjobs.client.handles import AsyncJobHandle, JobHandle, Listing
    from dartjobs.client.packaging import PackagingError
    from dartjobs.client.sync_client import Client
    from dartjobs.models.cluster import Cluster, ClusterState, Limits, Placement
    from dartjobs.models.explain import Explanation, Refusal
    from dartjobs.models.job import Attempt, Job, Transition
    from dartjobs.models.problem import (
        ClusterExistsError,
        ClusterInUseError,
        DartJobsError,
        FieldProblem,
        ForbiddenError,
        IdempotencyMismatchError,
        InvalidRequestError,
        NotFinishedError,
        NotFoundError,
        NotRunningError,
        PackageNotFoundError,
        RangeError,
        RateLimitedError,
        UnauthenticatedError,
        UnavailableError,
        UnreadableSpecError,
    )
    from dartjobs.models.reason import Category, Reason
    from dartjobs.models.spec import HeadGroup, JobSpec, Retries, RuntimeEnv, Timeouts, WorkerGroup
    from dartjobs.models.state import JobState, ResourceState

__all__ = [
    "AsyncClient",
    "AsyncJobHandle",
    "Attempt",
    "Category",
    "Client",
    "Cluster",
    "ClusterExistsError",
    "ClusterInUseError",
    "ClusterState",
    "ConnectionFailedError",
    "DartJobsError",
    "Explanation",
    "FieldProblem",
    "Filters",
    "ForbiddenError",
    "HeadGroup",
    "IdempotencyMismatchError",
    "InvalidRequestError",
    "Job",
    "JobHandle",
    "JobSpec",
    "JobState",
    "Limits",
    "Listing",
    "NotFinishedError",
    "NotFoundError",
    "NotOurServerError",
    "NotRunningError",
    "PackageNotFoundError",
    "PackagingError",
    "Placement",
    "RangeError",
    "RateLimitedError",
    "Reason",
    "Refusal",
    "ResourceState",
    "Retries",
    "RuntimeEnv",
    "Timeouts",
    "Transition",
    "UnauthenticatedError",
    "UnavailableError",
    "UnreadableSpecError",
    "WaitTimeoutError",
    "WorkerGroup",
]

_HOMES = {
    "models.explain": ("Explanation", "Refusal"),
    "models.cluster": ("Cluster", "ClusterState", "Limits", "Placement"),
    "client.filters": ("Filters",),
    "client.async_client": ("AsyncClient",),
    "client.errors": ("ConnectionFailedError", "NotOurServerError", "WaitTimeoutError"),
    "client.handles": ("AsyncJobHandle", "JobHandle", "Listing"),
    "client.packaging": ("PackagingError",),
    "client.sync_client": ("Client",),
    "models.job": ("Attempt", "Job", "Transition"),
    "models.problem": (
        "ClusterExistsError",
        "ClusterInUseError",
        "DartJobsError",
        "FieldProblem",
        "ForbiddenError",
        "IdempotencyMismatchError",
        "InvalidRequestError",
        "NotFinishedError",
        "NotFoundError",
        "NotRunningError",
        "PackageNotFoundError",
        "RangeError",
        "RateLimitedError",
        "UnauthenticatedError",
        "UnavailableError",
        "UnreadableSpecError",
    ),
    "models.reason": ("Category", "Reason"),
    "models.spec": ("HeadGroup", "JobSpec", "Retries", "RuntimeEnv", "Timeouts", "WorkerGroup"),
    "models.state": ("JobState", "ResourceState"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load what was asked for, from the module that defines it."""
    if name not in _HOME_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What can be imported from here."""
    return sorted({*globals(), *__all__})
