"""What `from dartjobs import …` offers is a promise: a name comes or goes only together with this list."""

import dartjobs

PROMISED = [
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


def test_public_names_are_those_that_were_promised() -> None:
    assert sorted(dartjobs.__all__) == PROMISED


def test_every_public_name_can_be_imported_and_says_what_it_is() -> None:
    undocumented = [name for name in dartjobs.__all__ if not vars(getattr(dartjobs, name))["__doc__"]]
    assert undocumented == []


def test_every_public_name_is_one_thing_wherever_it_is_imported_from() -> None:
    for name in dartjobs.__all__:
        thing = getattr(dartjobs, name)
        assert thing.__name__ == name
        assert thing.__module__.startswith("dartjobs.")
