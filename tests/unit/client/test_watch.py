import json
from collections.abc import Iterator

import pytest

from dartjobs import Job, NotFoundError, WaitTimeoutError
from dartjobs.client.effects import Lost, Reply
from dartjobs.client.requests import Requests
from dartjobs.client.watch import Until, Watch, event_id
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.fakes.flows import BROKEN, JOB, REFUSED, Answer, Driver

STREAM = Reply(200, {"content-type": "text/event-stream; charset=utf-8"})


def test_the_place_of_a_stream_names_every_attempt() -> None:
    """The server takes an earlier attempt that is not named as seen to its end."""
    assert event_id([]) == "0.0"
    assert event_id([(1, 1), (2, 1), (1, 3), (1, 2)]) == "2.1,1.3"


class Told:
    """What a server would answer about its one job."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.id = self.api.add().id

    def look(self) -> list[Answer]:
        known = self.api.jobs[self.id]
        items = [json.loads(one.model_dump_json()) for one in known.transitions]
        return [Reply(200, {}, json.dumps({"items": items}).encode()), Reply(200, {}, self._job().encode())]

    def moves(self, since: int) -> bytes:
        known = self.api.jobs[self.id]
        events = [
            f"event: transition\nid: {one.attempt}.{one.version}\ndata: {one.model_dump_json()}\n\n"
            for one in known.transitions[since:]
        ]
        return "".join([*events, f"event: job\ndata: {self._job()}\n\n"]).encode()

    def _job(self) -> str:
        return self.api.jobs[self.id].job.model_dump_json(by_alias=True)


def watch(driver: Driver, answers: list[Answer], *, timeout: float | None = None, until: Until = "finished") -> Job:
    flow = Watch(Requests("default"), driver.patience(), JOB, until=until, timeout=timeout).run()
    return Job.model_validate(driver.run(flow, answers))


def shown(driver: Driver) -> list[str]:
    return [
        one["attempt"]["job_state"] if kind == "job" else f"{one['attempt']}.{one['version']}"
        for kind, one in driver.emitted
    ]


def test_each_move_and_each_state_is_told_once_over_lost_connections() -> None:
    told, driver = Told(), Driver()
    answers = [*told.look(), STREAM]
    told.api.run(told.id)
    answers += [told.moves(1), BROKEN, REFUSED, *told.look(), STREAM, told.moves(0), BROKEN]
    told.api.end(told.id)
    answers += [*told.look()]
    assert watch(driver, answers).job_state is JobState.SUCCEEDED
    assert shown(driver) == ["1.1", "WAITING", "1.2", "1.3", "RUNNING", "1.4", "SUCCEEDED"]
    resumed = [request.headers["last-event-id"] for request in driver.requests if request.path.endswith("/watch")]
    assert resumed == ["1.1", "1.3"]


def test_the_end_of_an_attempt_is_not_the_end_of_a_job_that_is_retried() -> None:
    told, driver = Told(), Driver()
    answers = [*told.look(), STREAM]
    told.api.move(told.id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
    answers += [told.moves(1)]
    told.api.end(told.id)
    answers += [told.moves(3)]
    assert watch(driver, answers).attempt.number == 2


def test_until_terminated_waits_for_the_cluster_to_be_gone() -> None:
    told, driver = Told(), Driver()
    told.api.end(told.id)
    answers = [*told.look(), STREAM]
    told.api.move(told.id, ResourceState.TERMINATED, JobState.SUCCEEDED, Reason.DELETED)
    answers += [told.moves(2)]
    assert watch(driver, answers, until="terminated").resource_state is ResourceState.TERMINATED


@pytest.mark.parametrize(
    "no_stream",
    [
        [Reply(200, {"content-type": "text/html"})],
        [Reply(404, {}, b"a proxy knows no such path")],
        [STREAM, Lost("no answer in time", silent=True)],
        [STREAM, None],
    ],
)
def test_where_no_stream_comes_through_it_looks_now_and_then(no_stream: list[Answer]) -> None:
    told, driver = Told(), Driver()
    answers = [*told.look(), *no_stream, *told.look()]
    told.api.run(told.id)
    answers += [*told.look()]
    told.api.end(told.id)
    assert watch(driver, [*answers, *told.look()]).job_state is JobState.SUCCEEDED
    assert sum(request.path.endswith("/watch") for request in driver.requests) == 1
    assert max(driver.slept) == pytest.approx(1.0)


def test_the_time_to_wait_is_kept_on_a_stream_that_says_nothing() -> None:
    told, driver = Told(), Driver()
    answers = iter([*told.look(), STREAM, told.moves(1)])

    def then_silence() -> Iterator[Answer]:
        yield from answers
        driver.now += 5
        yield Lost("no answer in time", silent=True)
        yield from told.look()

    flow = Watch(Requests("default"), driver.patience(), JOB, until="finished", timeout=5).run()
    with pytest.raises(WaitTimeoutError, match=r"5 s.*QUEUED, WAITING"):
        driver.run(flow, then_silence())
    assert driver.requests[2].silence == pytest.approx(5)


def test_the_time_to_wait_is_kept_while_the_server_is_away() -> None:
    told, driver = Told(), Driver()
    answers = [*told.look(), STREAM, BROKEN, *[REFUSED] * 20]
    with pytest.raises(WaitTimeoutError, match="QUEUED, WAITING"):
        watch(driver, answers, timeout=7)
    assert sum(driver.slept) == pytest.approx(7)


def test_a_job_that_is_not_there_is_told_at_once() -> None:
    problem = NotFoundError("no such job").problem().json().encode()
    with pytest.raises(NotFoundError):
        watch(Driver(), [Reply(404, {}, problem)])
