"""A head that answers what it likes."""

from collections.abc import AsyncIterator

import httpx
import pytest

from dartjobs.core.world import RayJob, RayJobStatus
from dartjobs.drivers.base import FinalDriverError, PackageRefusedError, TemporaryDriverError
from dartjobs.drivers.ray_jobs import RayJobs

Answer = httpx.Response | Exception
BODY = {"submission_id": "id-1", "entrypoint": "true"}
RUNNING = {"status": "RUNNING", "message": "it runs", "error_type": None, "driver_exit_code": None}
LOST = httpx.ReadTimeout("nothing came")


def a_head(*answers: Answer) -> tuple[RayJobs, list[httpx.Request]]:
    left, seen = list(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return RayJobs(client, "http://head:8265/", "secret"), seen


def ok(body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


async def chunks() -> AsyncIterator[bytes]:
    yield b"PK"


async def test_a_status_is_read_as_ray_says_it() -> None:
    failed = {
        "status": "FAILED",
        "message": "exit 3",
        "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR",
        "driver_exit_code": 3,
    }
    head, seen = a_head(ok(failed), httpx.Response(404, text="no such job"))
    assert await head.job("id-1") == RayJob(RayJobStatus.FAILED, "exit 3", "JOB_ENTRYPOINT_COMMAND_ERROR", 3)
    assert await head.job("id-1") == RayJob(RayJobStatus.ABSENT)
    assert seen[0].url == "http://head:8265/api/jobs/id-1"
    assert seen[0].headers["x-ray-authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "answer", [LOST, httpx.Response(500), ok({"status": "NEW"}), ok([]), httpx.Response(200, text="<")]
)
async def test_no_status_is_made_up_from_a_strange_answer(answer: Answer) -> None:
    head, _ = a_head(answer)
    with pytest.raises(TemporaryDriverError):
        await head.job("id-1")


async def test_a_head_answers_or_not_but_never_raises() -> None:
    head, _ = a_head(httpx.Response(503), httpx.ConnectError("refused"), ok({"version": "4"}))
    assert [await head.answers(), await head.answers(), await head.answers()] == [False, False, True]


async def test_a_submission_is_one_post() -> None:
    head, seen = a_head(ok({"submission_id": "id-1"}))
    await head.submit(BODY)
    assert [one.method for one in seen] == ["POST"]


@pytest.mark.parametrize("answer", [LOST, httpx.Response(500, text="id-1 already exists"), httpx.Response(400)])
async def test_a_submission_that_ray_knows_has_arrived(answer: Answer) -> None:
    head, _ = a_head(answer, ok(RUNNING))
    await head.submit(BODY)


@pytest.mark.parametrize("answer", [LOST, httpx.Response(500), httpx.Response(401), httpx.Response(429)])
async def test_a_submission_that_ray_does_not_know_may_be_tried_again(answer: Answer) -> None:
    head, _ = a_head(answer, httpx.Response(404))
    with pytest.raises(TemporaryDriverError):
        await head.submit(BODY)


async def test_a_submission_of_which_nothing_is_known_may_be_tried_again() -> None:
    head, _ = a_head(LOST, LOST)
    with pytest.raises(TemporaryDriverError):
        await head.submit(BODY)


async def test_a_submission_that_ray_refuses_is_refused_in_its_words() -> None:
    head, _ = a_head(httpx.Response(400, text="Traceback…\nValueError: no such field: pips"), httpx.Response(404))
    with pytest.raises(FinalDriverError, match="no such field: pips"):
        await head.submit(BODY)


async def test_a_stop_needs_no_job() -> None:
    head, _ = a_head(ok({"stopped": True}), httpx.Response(404), httpx.Response(500))
    await head.stop("id-1")
    await head.stop("id-1")
    with pytest.raises(TemporaryDriverError):
        await head.stop("id-1")


async def test_a_package_is_put_whole() -> None:
    head, seen = a_head(httpx.Response(404), httpx.Response(200), httpx.Response(200))
    assert not await head.has_package("p.zip")
    await head.put_package("p.zip", chunks(), 2)
    assert await head.has_package("p.zip")
    assert seen[1].url.path == "/api/packages/gcs/p.zip"
    assert seen[1].headers["content-length"] == "2"


@pytest.mark.parametrize(
    ("answer", "error"), [(httpx.Response(413), PackageRefusedError), (httpx.Response(500), TemporaryDriverError)]
)
async def test_a_package_that_is_not_taken(answer: httpx.Response, error: type[Exception]) -> None:
    head, _ = a_head(answer)
    with pytest.raises(error):
        await head.put_package("p.zip", chunks(), 2)


async def test_silence_is_temporary() -> None:
    head, _ = a_head(LOST, LOST)
    with pytest.raises(TemporaryDriverError, match="did not answer GET"):
        await head.has_package("p.zip")
    with pytest.raises(TemporaryDriverError, match="did not answer POST"):
        await head.stop("id-1")
