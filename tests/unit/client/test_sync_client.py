import socket
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest
from starlette.responses import Response

from dartjobs import Client, ConnectionFailedError, InvalidRequestError, NotFoundError, WaitTimeoutError
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.fakes.polling import until
from tests.fakes.server import Server


def test_importing_the_package_loads_neither_http_nor_pydantic() -> None:
    program = "import sys, dartjobs; print({'httpx', 'pydantic'} & {*sys.modules}, dartjobs.Client.__name__)"
    out = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert out == "set() Client\n"


def test_a_folder_is_uploaded_once_and_a_submission_says_who_asks(api: FakeApi, client: Client, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('hello')\n")
    first = client.submit(entrypoint="python main.py", name="train", working_dir=tmp_path)
    second = client.submit({"entrypoint": "x", "runtime_env": {"working_dir": str(tmp_path)}})

    (ref,) = api.packages
    assert [one.get().spec.runtime_env.working_dir for one in (first, second)] == [ref, ref]
    assert api.count("HEAD", ref) == 2
    assert api.count("PUT", ref) == 1
    assert (first.get().name, first.get().user) == ("train", "ada")
    assert first.submitted == first.get()


def test_a_wrong_spec_is_told_without_asking_the_server(api: FakeApi, client: Client) -> None:
    with pytest.raises(InvalidRequestError, match=r"head\.cpu"):
        client.submit(entrypoint="x", head={"cpu": "many"})
    assert not api.seen


def test_the_list_pages_by_itself_and_is_filtered_by_the_server(api: FakeApi, client: Client) -> None:
    ids = [api.add(name="a" if number % 2 else "b").id for number in range(450)]
    api.run(ids[7])
    assert [job.id for job in client.list()] == ids[::-1]
    assert api.count("GET", "/jobs") == 3
    assert [job.id for job in client.list(limit=3)] == ids[:-4:-1]
    assert [job.id for job in client.list(state=[JobState.RUNNING], name="a")] == [ids[7]]
    assert [job.id for job in client.list(state="RUNNING")] == [ids[7]]


def test_pages_are_fetched_only_when_they_are_needed(api: FakeApi, client: Client) -> None:
    for _ in range(450):
        api.add()
    assert len(list(islice(client.list(), 10))) == 10
    assert api.count("GET", "/jobs") == 1


def test_a_namespace_is_a_world_of_its_own(api: FakeApi, server: Server) -> None:
    job_id = api.add(namespace="team").id
    with Client(server.url, "team") as theirs, Client(server.url) as ours:
        assert theirs.get(job_id).namespace == "team"
        with pytest.raises(NotFoundError, match="namespace default") as caught:
            ours.get(job_id)
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize("job_id", ["..", "../../healthz", "a/b", "%2e%2e", "", "job-1"])
def test_a_strange_id_never_reaches_another_path(api: FakeApi, client: Client, job_id: str) -> None:
    with pytest.raises(NotFoundError, match="as `dartjobs list` shows it"):
        client.stop(job_id)
    assert not api.seen


def test_stop_is_repeated_where_its_answer_is_lost(api: FakeApi, client: Client) -> None:
    job_id = api.add().id
    api.answer_once("POST", "/stop", Response(status_code=503, headers={"retry-after": "0"}))
    job = client.stop(job_id, "bored")
    assert job.stop is not None
    assert (job.stop.by, job.stop.reason) == ("ada", "bored")
    assert api.count("POST", "/stop") == 2


def test_logs_are_read_whole_in_part_and_by_attempt(api: FakeApi, client: Client) -> None:
    handle = client.job(api.add().id)
    api.write(handle.id, b"one\ntwo\n")
    api.move(handle.id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
    api.write(handle.id, b"three\n")
    assert b"".join(handle.logs()) == b"three\n"
    assert b"".join(handle.logs(attempt=1)) == b"one\ntwo\n"
    assert b"".join(handle.logs(attempt=1, tail=1)) == b"two\n"
    assert b"".join(handle.logs(attempt=1, start=2, stop=5)) == b"e\nt"


def test_follow_survives_a_server_that_is_killed_without_losing_or_doubling_a_byte(
    api: FakeApi, server: Server, client: Client
) -> None:
    lines = [f"line {number}\n".encode() for number in range(3_000)]
    job_id = api.add().id
    api.run(job_id)
    read, followed = threading.Event(), bytearray()

    def follow() -> None:
        for piece in client.follow(job_id):
            followed.extend(piece)
            read.set()

    follower = threading.Thread(target=follow)
    follower.start()
    for begin in range(0, 3_000, 1_000):
        read.clear()
        api.write(job_id, b"".join(lines[begin : begin + 500]))
        assert read.wait(10)
        server.kill()
        api.write(job_id, b"".join(lines[begin + 500 : begin + 1_000]))
        server.restart()
    api.end(job_id)
    follower.join(20)
    assert not follower.is_alive()
    assert bytes(followed) == b"".join(lines)


def test_follow_goes_on_with_the_retry(api: FakeApi, client: Client) -> None:
    job_id = api.add().id
    api.write(job_id, b"first\n")
    api.log(job_id).complete = True
    api.move(job_id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
    api.write(job_id, b"second\n")
    api.end(job_id)
    assert b"".join(client.follow(job_id, attempt=1)) == b"first\nsecond\n"
    assert b"".join(client.follow(job_id)) == b"second\n"


def test_wait_survives_a_server_that_is_killed(api: FakeApi, server: Server, client: Client) -> None:
    job_id = api.add().id
    finished = []
    waiter = threading.Thread(target=lambda: finished.append(client.wait(job_id)))
    waiter.start()
    until(lambda: api.count("GET", "/watch"))
    server.kill()
    api.end(job_id, JobState.FAILED, exit_code=3)
    server.restart()
    waiter.join(20)
    assert [(job.job_state, job.attempt.exit_code) for job in finished] == [(JobState.FAILED, 3)]


def test_wait_has_a_limit_and_a_finished_job_is_answered_whatever_it_is(api: FakeApi, client: Client) -> None:
    handle = client.job(api.add().id)
    with pytest.raises(WaitTimeoutError, match="still QUEUED, WAITING"):
        handle.wait(timeout=0.3)
    with pytest.raises(TimeoutError):
        handle.wait(timeout=0)
    api.end(handle.id)
    assert handle.wait(timeout=0).job_state is JobState.SUCCEEDED
    assert [one.job_state for one in handle.events()] == [JobState.WAITING, JobState.SUCCEEDED]


def test_no_server_is_told_with_its_address_and_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with Client(url) as client, pytest.raises(ConnectionFailedError, match=rf"{url}.*`dartjobs up`"):
            client.health()


def test_proxies_of_the_environment_are_passed_over_on_this_machine(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(client.target.url) as fresh:
        assert fresh.health() == {"status": "ok"}
