"""Submissions happen once, whatever is lost on the way; and the rest of what a client can ask."""

import inspect
import threading
import time
from pathlib import Path

import pytest
from starlette.responses import Response

from dartjobs import AsyncClient, AsyncJobHandle, Client, InvalidRequestError, JobHandle
from dartjobs.client.clusters import AsyncClusters, Clusters
from dartjobs.client.packaging import pack
from dartjobs.client.stat_index import StatIndex, cache_folder
from dartjobs.models.problem import UnavailableError
from tests.fakes.api import FakeApi
from tests.fakes.server import Server

BUSY = UnavailableError("not now").problem().json()


def keys(api: FakeApi) -> list[str]:
    return [one.headers["idempotency-key"] for one in api.seen if one.method == "POST"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_refusal_that_passes_is_tried_again_with_the_same_key(api: FakeApi, client: Client, status: int) -> None:
    api.answer_once("POST", "/jobs", Response(BUSY, status, headers={"retry-after": "0"}))
    handle = client.submit(entrypoint="x")
    assert [*api.jobs] == [handle.id]
    first, second = keys(api)
    assert first == second


def test_two_calls_are_two_jobs(api: FakeApi, client: Client) -> None:
    client.submit(entrypoint="x")
    client.submit(entrypoint="x")
    assert len(api.jobs) == len(set(keys(api))) == 2


def test_a_submission_whose_answer_is_lost_is_sent_again_and_happens_once(api: FakeApi, server: Server) -> None:
    """The server records it, and is killed before it answers."""
    recorded = threading.Event()

    def record_and_never_answer(_: str) -> None:
        if not recorded.is_set():
            recorded.set()
            server.kill_soon()

    api.on_submit = record_and_never_answer
    handles: list[JobHandle] = []
    with Client(server.url) as client:
        submitter = threading.Thread(target=lambda: handles.append(client.submit(entrypoint="x")))
        submitter.start()
        assert recorded.wait(20)
        server.kill()
        server.restart()
        submitter.join(20)
    assert [handle.id for handle in handles] == [*api.jobs]
    assert len(api.jobs) == 1
    assert len(keys(api)) == 2


@pytest.mark.parametrize("key", ["", "ü", "a\nb", "x" * 256])
def test_a_key_that_no_header_holds_is_told(api: FakeApi, client: Client, key: str) -> None:
    if key == "":
        client.submit(entrypoint="x", idempotency_key=key)
        return
    with pytest.raises(InvalidRequestError, match="idempotency key"):
        client.submit(entrypoint="x", idempotency_key=key)
    assert not api.jobs


def test_unchanged_code_is_neither_packed_nor_asked_for_and_uploaded_again_if_it_was_lost(
    api: FakeApi, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text("x")
    later = StatIndex(cache_folder(), clock=lambda: time.time_ns() + 10**11)  # what changed just now is not believed
    with pack(tmp_path, index=later) as package:
        api.packages[package.ref] = package.path.read_bytes()
    client.submit(entrypoint="x", working_dir=tmp_path)
    assert [one.method for one in api.seen] == ["POST"]
    api.packages.clear()
    client.submit(entrypoint="x", working_dir=tmp_path)
    assert [*api.packages] == [package.ref]
    assert len(api.jobs) == 2


def test_a_notebook_shows_jobs_and_nothing_that_others_wrote_is_markup(api: FakeApi, client: Client) -> None:
    for _ in range(30):
        job_id = api.add(user="<script>alert(1)</script>").id
    shown = JobHandle(client, job_id)._repr_html_()
    listed = client.list()
    first = next(listed)
    table = listed._repr_html_()
    for html in (shown, table):
        assert "&lt;script&gt;" in html
        assert "<script>" not in html
    assert (table.count("<tr>"), "there are more" in table) == (21, True)
    assert [first.id, *(job.id for job in listed)] == [*api.jobs][::-1]


@pytest.mark.parametrize(
    ("one", "other"), [(Client, AsyncClient), (JobHandle, AsyncJobHandle), (Clusters, AsyncClusters)]
)
def test_both_clients_offer_the_same(one: type, other: type) -> None:
    def surface(kind: type) -> dict[str, list[str]]:
        public = {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}
        return {name: list(inspect.signature(member).parameters) for name, member in public.items()}

    assert surface(one) == surface(other)
