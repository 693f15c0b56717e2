import pytest

from dartjobs.cli import exit_codes
from dartjobs.client.errors import ConnectionFailedError, WaitTimeoutError
from dartjobs.client.packaging import PackagingError
from dartjobs.models.problem import (
    DartJobsError,
    ForbiddenHostError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi

J = JobState


@pytest.mark.parametrize(
    ("state", "own", "code"),
    [
        (J.SUCCEEDED, 0, 0),
        (J.SUCCEEDED, None, 0),
        (J.FAILED, 3, 3),
        (J.FAILED, None, 1),
        (J.FAILED, 0, 1),
        (J.FAILED, 256, 255),
        (J.FAILED, -9, 1),
        (J.FAILED, 137, 137),
        (J.STOPPED, None, 143),
        (J.STOPPED, 0, 143),
        (J.STOPPED, 130, 130),
    ],
)
def test_only_a_job_that_succeeded_gives_0(state: JobState, own: int | None, code: int) -> None:
    api = FakeApi()
    assert exit_codes.of_job(api.end(api.add().id, state, exit_code=own).model_dump(mode="json")) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionFailedError(), 69),
        (UnavailableError(), 69),
        (NotFoundError(), 66),
        (InvalidRequestError(), 65),
        (PackagingError(), 65),
        (ForbiddenHostError(), 65),
        (WaitTimeoutError(), 124),
        (DartJobsError(), 70),
    ],
)
def test_causes_are_told_apart(error: DartJobsError, code: int) -> None:
    assert exit_codes.of_error(error) == code
    assert f"  {code} " in exit_codes.HELP
