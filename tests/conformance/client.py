"""What holds between a client and a server: one suite for the real API and for the one in memory.

Tests of clients run on the fake, so they mean something only as far as the fake answers as the API does.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dartjobs import (
    AsyncClient,
    Client,
    ClusterExistsError,
    ClusterInUseError,
    DartJobsError,
    IdempotencyMismatchError,
    InvalidRequestError,
    Job,
    JobHandle,
    Limits,
    NotFinishedError,
    NotFoundError,
    NotRunningError,
    Placement,
    RangeError,
    WaitTimeoutError,
)
from dartjobs.client.config import resolve
from dartjobs.client.session import Session
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState

ABSENT = "job-" + "0" * 26


class World(ABC):
    """A server, and hands that do what the rest of the platform would."""

    url: str

    @abstractmethod
    def claim(self, job_id: str) -> None:
        """The cluster `local` claims the job's latest attempt."""

    @abstractmethod
    def finish(self, job_id: str) -> None:
        """The claimed attempt ends as SUCCEEDED."""

    @abstractmethod
    def write(self, job_id: str, data: bytes) -> None:
        """What is all of the first attempt's log."""

    @abstractmethod
    def add_cluster(self, name: str) -> None:
        """A cluster with 8 cores registers itself."""


class ClientSuite:
    """Subclasses give the fixture `world`."""

    @pytest.fixture
    def client(self, world: World) -> Iterator[Client]:
        with Client(world.url, "team", "ada") as one:
            yield one

    def test_a_job_is_submitted_and_found_again(self, client: Client) -> None:
        handle = client.submit(entrypoint=["python", "x.py"], name="train", labels={"team": "vision"}, head={"cpu": 2})
        job = handle.get()
        assert (job.name, job.user, job.namespace, job.spec.labels) == ("train", "ada", "team", {"team": "vision"})
        assert (job.resource_state, job.job_state) == (ResourceState.QUEUED, JobState.WAITING)
        assert [one.reason for one in handle.events()] == [Reason.SUBMITTED]
        assert [one.number for one in handle.attempts()] == [1]
        assert handle.submitted is not None
        assert handle.submitted.id == job.id

    def test_code_is_uploaded_once(self, client: Client, tmp_path: Path) -> None:
        code = tmp_path / "code"
        code.mkdir()
        (code / "main.py").write_text("print('hello')\n")
        refs = {client.submit(entrypoint="x", working_dir=code).get().spec.runtime_env.working_dir for _ in range(2)}
        (ref,) = refs
        assert client.submit(entrypoint="x", working_dir=ref).get().spec.runtime_env.working_dir == ref

    def test_one_key_is_one_job(self, client: Client) -> None:
        first = client.submit(entrypoint="x", idempotency_key="k")
        assert client.submit(entrypoint="x", idempotency_key="k").id == first.id
        assert client.submit(entrypoint="x", idempotency_key="other").id != first.id
        with pytest.raises(IdempotencyMismatchError):
            client.submit(entrypoint="y", idempotency_key="k")

    def test_of_many_each_is_on_its_own(self, client: Client) -> None:
        unknown = "sha256:" + "0" * 64
        specs: list[dict[str, Any]] = [
            {"entrypoint": "a"},
            {"entrypoint": "b", "runtime_env": {"working_dir": unknown}},
            {"entrypoint": "c"},
        ]
        became = client.submit_many(specs, idempotency_key="k")
        assert [type(one).__name__ for one in became] == ["JobHandle", "PackageNotFoundError", "JobHandle"]
        assert isinstance(became[1], DartJobsError)
        assert unknown in str(became[1])
        entrypoints = [one.get().spec.entrypoint for one in became if isinstance(one, JobHandle)]
        assert entrypoints == ["a", "c"]
        assert len(list(client.list())) == 2
        again = [one.id for one in client.submit_many(specs, idempotency_key="k") if isinstance(one, JobHandle)]
        assert again == [one.id for one in became if isinstance(one, JobHandle)]

    def test_filters(self, client: Client, world: World) -> None:
        stages = itertools.cycle(["dev", "prod"])
        ids = [
            client.submit(entrypoint="x", name=f"job-{number % 3}", labels={"stage": next(stages)}).id
            for number in range(6)
        ]
        with Client(world.url, "team", "bob") as bob:
            of_bob = bob.submit(entrypoint="x").id
        world.claim(ids[0])
        world.finish(ids[0])
        world.claim(ids[1])
        assert [job.id for job in client.list()] == [of_bob, *ids[::-1]]
        assert [job.id for job in client.list(user="bob")] == [of_bob]
        assert [job.id for job in client.list(name="job-1")] == [ids[4], ids[1]]
        assert [job.id for job in client.list(selector="stage in (dev),!absent")] == [ids[4], ids[2], ids[0]]
        assert [job.id for job in client.list(selector={"stage": "prod"}, limit=2)] == [ids[5], ids[3]]
        assert [job.id for job in client.list(cluster="local")] == [ids[1], ids[0]]
        assert [job.id for job in client.list(active=False)] == [ids[0]]
        assert [job.id for job in client.list(state=["SUCCEEDED", "RUNNING"], user="ada")] == [ids[0]]
        at = client.get(ids[3]).submitted_at
        assert ids[2] in {job.id for job in client.list(submitted_before=at + timedelta(days=1))}
        assert list(client.list(submitted_after=datetime(9000, 1, 1, tzinfo=UTC))) == []
        with pytest.raises(InvalidRequestError):
            list(client.list(selector="stage in ("))

    def test_stopping_many_needs_a_filter_and_tells_whom_it_asked(self, client: Client, world: World) -> None:
        ids = [client.submit(entrypoint="x", labels={"stop": str(number < 3)}).id for number in range(5)]
        world.claim(ids[0])
        world.finish(ids[0])
        with pytest.raises(InvalidRequestError):
            client.stop_many()
        assert sorted(client.stop_many("enough", selector="stop=True")) == ids[1:3]
        stops = [client.get(job_id).stop for job_id in ids]
        assert [stop and (stop.by, stop.reason) for stop in stops] == [
            None,
            ("ada", "enough"),
            ("ada", "enough"),
            None,
            None,
        ]
        assert {*ids[3:]} <= {*client.stop_many(everything=True)}

    def test_a_finished_job_is_retried_as_a_new_one(self, client: Client, world: World) -> None:
        handle = client.submit(entrypoint="x", name="again")
        with pytest.raises(NotFinishedError):
            handle.retry()
        world.claim(handle.id)
        world.finish(handle.id)
        retried = handle.retry(idempotency_key="r")
        assert retried.id != handle.id
        assert handle.retry(idempotency_key="r").id == retried.id
        assert (retried.get().retry_of, retried.get().name) == (handle.id, "again")

    def test_only_an_attempt_on_a_cluster_is_sent_back(self, client: Client, world: World) -> None:
        handle = client.submit(entrypoint="x")
        with pytest.raises(NotRunningError):
            handle.requeue()
        world.claim(handle.id)
        requeued = handle.requeue("drain").requeue
        assert requeued is not None
        assert (requeued.attempt, requeued.by, requeued.reason) == (1, "ada", "drain")

    def test_a_job_is_explained(self, client: Client, world: World) -> None:
        handle = client.submit(entrypoint="x")
        queued = handle.explain()
        assert (queued.job_id, queued.resource_state, queued.attempt) == (handle.id, ResourceState.QUEUED, 1)
        assert queued.summary
        world.claim(handle.id)
        world.finish(handle.id)
        assert handle.explain().reason is Reason.COMPLETED

    def test_a_watch_tells_each_move_once_and_ends_with_the_job(self, client: Client, world: World) -> None:
        handle = client.submit(entrypoint="x")
        world.claim(handle.id)
        world.finish(handle.id)
        told = list(handle.watch())
        assert [one.version for one in told if not isinstance(one, Job)] == [1, 2, 3]
        assert handle.wait(timeout=0).job_state is JobState.SUCCEEDED

    def test_logs_by_range(self, client: Client, world: World) -> None:
        handle = client.submit(entrypoint="x")
        world.claim(handle.id)
        world.write(handle.id, b"one\ntwo\nthree\n")
        world.finish(handle.id)
        assert b"".join(handle.logs()) == b"one\ntwo\nthree\n"
        assert b"".join(handle.logs(tail=2)) == b"two\nthree\n"
        assert b"".join(handle.logs(start=4, stop=7)) == b"two"
        assert b"".join(handle.follow()) == b"one\ntwo\nthree\n"
        with pytest.raises(RangeError):
            list(handle.logs(start=99))

    def test_clusters_are_seen_and_cordoned(self, client: Client, world: World) -> None:
        world.add_cluster("b")
        world.add_cluster("a")
        assert [one.name for one in client.clusters.list()] == ["a", "b"]
        assert client.clusters.get("a").capacity.cpu == 8
        assert client.clusters.cordon("a").state == "CORDONED"
        assert client.clusters.get("a").state == "CORDONED"
        assert client.clusters.uncordon("a").state != "CORDONED"
        lost = client.clusters.lost("b", "fire")
        assert (lost.state, lost.lost_by) == ("LOST", "ada")
        assert client.clusters.readmit("b").lost_at is None
        with pytest.raises(NotFoundError):
            client.clusters.get("c")

    def test_clusters_are_registered_and_removed(self, client: Client) -> None:
        limits = Limits.model_validate({"jobs": 2, "memory": "1Gi"})
        added = client.clusters.add("new", labels={"zone": "b"}, limits=limits, namespaces=["team", "lab"])
        assert (added.identity, added.seen_at, added.added_by) == (None, None, "ada")
        assert (added.labels["zone"], added.limits, added.namespaces) == ("b", limits, ["team", "lab"])
        with pytest.raises(ClusterExistsError):
            client.clusters.add("new", placement="spread")
        assert client.clusters.add("new", placement="spread", replace=True).placement is Placement.SPREAD
        with pytest.raises(InvalidRequestError, match="placement"):
            client.clusters.add("new", placement="scatter")
        client.clusters.remove("new")
        with pytest.raises(NotFoundError):
            client.clusters.remove("new")

    def test_a_cluster_is_drained_and_only_then_removed(self, client: Client, world: World) -> None:
        world.add_cluster("local")
        handle = client.submit(entrypoint="x")
        world.claim(handle.id)
        drained = client.clusters.drain("local", requeue=True, reason="update")
        assert (drained.cordoned, drained.attempts > 0) == (True, True)
        wish = client.get(handle.id).requeue
        assert wish is not None
        assert "update" in wish.reason
        with pytest.raises(WaitTimeoutError):
            client.clusters.drain("local", wait=True, timeout=0.0)
        with pytest.raises(ClusterInUseError):
            client.clusters.remove("local")

    def test_what_is_not_there_is_told_with_the_id_of_the_request(self, client: Client) -> None:
        for ask in (client.get, client.stop, client.events, client.attempts, client.explain, client.retry):
            with pytest.raises(NotFoundError) as caught:
                ask(ABSENT)
            assert caught.value.request_id

    def test_a_spec_that_only_the_server_refuses_names_its_fields(self, world: World) -> None:
        session = Session(resolve(world.url, "team", "ada"), warn=pytest.fail)
        with pytest.raises(InvalidRequestError) as caught:
            session.run(session.calls.submit({"entrypoint": "x", "head": {"memory": "lots"}}, "k"))
        session.close()
        assert "memory" in str(caught.value)

    def test_versions(self, client: Client) -> None:
        assert client.version()["api"] == "v1"
        assert client.health() == {"status": "ok"}

    async def test_the_asynchronous_client_is_answered_alike(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "main.py").write_text("print('async')\n")
        async with AsyncClient(world.url, "team", "ada") as client:
            handle = await client.submit(entrypoint="x", working_dir=tmp_path)
            (other,) = await client.submit_many([{"entrypoint": "y"}])
            assert not isinstance(other, DartJobsError)
            assert [job.id async for job in client.list(user="ada")] == [other.id, handle.id]
            assert (await handle.explain()).job_id == handle.id
            assert len(await handle.attempts()) == 1
            assert sorted(await client.stop_many(name="job")) == [handle.id, other.id]
            assert await client.clusters.list() == ()
