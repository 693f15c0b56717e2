from typing import Any

import pytest

from dartjobs import NotFoundError
from dartjobs.client.effects import Reply
from dartjobs.client.logs import Place, follow_log, read_log
from dartjobs.client.requests import Requests
from dartjobs.models.problem import RangeError
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.fakes.flows import BROKEN, JOB, REFUSED, Answer, Driver


def begun(offset: int, *, attempt: int = 1, complete: bool = False) -> Reply:
    headers = {"dartjobs-log-offset": str(offset), "dartjobs-log-attempt": str(attempt)}
    return Reply(206, {**headers, "dartjobs-log-complete": str(complete).lower()})


def job(*, attempt: int = 1, finished: bool = True) -> Reply:
    api = FakeApi()
    job_id = api.add().id
    for _ in range(attempt - 1):
        api.move(job_id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
    if finished:
        api.end(job_id)
    return Reply(200, {}, api.jobs[job_id].job.model_dump_json(by_alias=True).encode())


def follow(driver: Driver, answers: list[Answer], place: Place | None = None, **more: Any) -> bytes:
    flow = follow_log(Requests("default"), driver.patience(), JOB, place or Place(), **more)
    driver.run(flow, answers)
    return b"".join(driver.emitted)


def ranges(driver: Driver) -> list[str | None]:
    return [request.headers.get("range") for request in driver.requests if request.path.endswith("/logs")]


def test_a_broken_follow_goes_on_where_it_broke_and_on_the_same_attempt() -> None:
    driver = Driver()
    answers: list[Answer] = [
        begun(0),
        b"abc",
        b"de",
        BROKEN,
        REFUSED,
        begun(5),
        b"f",
        BROKEN,
        begun(6, complete=True),
        b"g",
        None,
        job(),
    ]
    assert follow(driver, answers) == b"abcdefg"
    assert ranges(driver) == [None, "bytes=5-", "bytes=5-", "bytes=6-"]
    assert driver.requests[1].params == (("attempt", "1"), ("follow", "true"))


def test_a_clean_end_is_the_end_only_where_the_response_began_as_complete() -> None:
    driver = Driver()
    answers: list[Answer] = [begun(0), b"ab", None, begun(2), None, begun(2, complete=True), b"c", None, job()]
    assert follow(driver, answers) == b"abc"


def test_a_server_that_ends_empty_follows_at_once_is_not_flooded() -> None:
    driver = Driver()
    follow(driver, [begun(0), None, begun(0), None, begun(0, complete=True), None, job()])
    assert driver.slept == [0.5, 0.5]


def test_bytes_that_are_sent_again_are_dropped() -> None:
    driver = Driver()
    answers: list[Answer] = [begun(0), b"abc", BROKEN, begun(0, complete=True), b"ab", b"cd", b"e", None, job()]
    assert follow(driver, answers) == b"abcde"


def test_the_log_of_a_retry_follows_that_of_the_attempt_before() -> None:
    driver, begins = Driver(), list[int]()
    answers: list[Answer] = [
        begun(0, complete=True),
        b"first ",
        None,
        job(finished=False),
        job(attempt=2, finished=False),
        begun(0, attempt=2, complete=True),
        b"second",
        None,
        job(attempt=2),
    ]
    assert follow(driver, answers, on_attempt=begins.append) == b"first second"
    assert begins == [2]
    assert ("attempt", "2") in driver.requests[3].params


def test_a_tail_is_asked_for_once_and_then_the_offset_that_it_began_at() -> None:
    driver = Driver()
    answers: list[Answer] = [begun(90), b"0123456789", BROKEN, begun(100, complete=True), b"!", None, job()]
    assert follow(driver, answers, Place(tail=1)) == b"0123456789!"
    assert ranges(driver) == [None, "bytes=100-"]
    assert ("tail", "1") in driver.requests[0].params
    assert not any(name == "tail" for name, _ in driver.requests[1].params)


def test_a_job_that_is_not_there_is_told_at_once() -> None:
    problem = NotFoundError("no such job").problem().json().encode()
    with pytest.raises(NotFoundError):
        follow(Driver(), [Reply(404, {}, problem)])


def test_reading_resumes_within_its_range() -> None:
    driver = Driver()
    flow = read_log(Requests("default"), driver.patience(), JOB, Place(start=10, stop=16))
    driver.run(flow, [begun(10), b"abc", BROKEN, begun(13), b"def", None])
    assert driver.emitted == [b"abc", b"def"]
    assert ranges(driver) == ["bytes=10-15", "bytes=13-15"]


def test_reading_that_broke_after_the_last_byte_is_whole() -> None:
    driver = Driver()
    problem = RangeError("the log ends there").problem().json().encode()
    flow = read_log(Requests("default"), driver.patience(), JOB, Place())
    driver.run(flow, [begun(0), b"abc", BROKEN, Reply(416, {}, problem)])
    assert driver.emitted == [b"abc"]


def test_reading_beyond_the_end_is_an_error() -> None:
    driver = Driver()
    problem = RangeError("the log ends there").problem().json().encode()
    with pytest.raises(RangeError):
        driver.run(read_log(Requests("default"), driver.patience(), JOB, Place(start=5)), [Reply(416, {}, problem)])
