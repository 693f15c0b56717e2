"""Submitting once, in batches, again; and stopping many."""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services.platform import Platform
from dartjobs.store import attempts
from dartjobs.store.tables import attempts as table
from dartjobs.store.tables import jobs
from tests.fakes.platform import take_lease
from tests.unit.services.test_watch import move

NS = "/api/v1/namespaces/team"
SPEC = {"entrypoint": "true"}


def keyed(key: str, user: str = "ann") -> dict[str, str]:
    return {"idempotency-key": key, "x-dartjobs-user": user}


async def submit(api: httpx.AsyncClient, **spec: object) -> dict[str, Any]:
    response = await api.post(f"{NS}/jobs", json={**SPEC, **spec})
    assert response.status_code == 201, response.text
    job: dict[str, Any] = response.json()
    return job


async def count(api: httpx.AsyncClient) -> int:
    return len((await api.get(f"{NS}/jobs")).json()["items"])


async def finish(platform: Platform, job_id: str) -> None:
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=f"{job_id}-1", actor="test"))
    over = Pair(ResourceState.TERMINATING, JobState.FAILED)
    await move(platform, lease, f"{job_id}-1", over, Reason.HEAD_LOST)


async def test_the_same_key_and_body_is_the_same_job(api: httpx.AsyncClient) -> None:
    first = await api.post(
        f"{NS}/jobs", json={**SPEC, "head": {"cpu": 1}, "labels": {"a": "1", "b": "2"}}, headers=keyed("k")
    )
    again = await api.post(
        f"{NS}/jobs", json={"labels": {"b": "2", "a": "1"}, "head": {"cpu": "1000m"}, **SPEC}, headers=keyed("k")
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(api) == 1


async def test_the_same_key_with_another_body_is_refused(api: httpx.AsyncClient) -> None:
    await api.post(f"{NS}/jobs", json=SPEC, headers=keyed("k"))
    other = await api.post(f"{NS}/jobs", json={"entrypoint": "false"}, headers=keyed("k"))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-mismatch")
    assert await count(api) == 1


async def test_a_key_is_of_its_user_and_namespace(api: httpx.AsyncClient) -> None:
    answers = [
        await api.post(f"{NS}/jobs", json=SPEC, headers=keyed("k")),
        await api.post(f"{NS}/jobs", json=SPEC, headers=keyed("k", "bob")),
        await api.post("/api/v1/namespaces/other/jobs", json=SPEC, headers=keyed("k")),
    ]
    assert [one.status_code for one in answers] == [201, 201, 201]
    assert len({one.json()["id"] for one in answers}) == 3


async def test_of_requests_with_one_key_at_once_one_makes_the_job(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post(f"{NS}/jobs", json=SPEC, headers=keyed("k")) for _ in range(20)))
    assert sorted(one.status_code for one in answers) == [200] * 19 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert await count(api) == 1


async def test_many_at_once_are_all_recorded_with_their_own_answers(api: httpx.AsyncClient) -> None:
    names = [f"job-{number}" for number in range(50)]
    jobs = await asyncio.gather(*(submit(api, name=name) for name in names))
    assert [job["name"] for job in jobs] == names
    for job in jobs[::10]:
        assert (await api.get(f"{NS}/jobs/{job['id']}")).json()["name"] == job["name"]


@pytest.mark.parametrize("key", ["", "a" * 256, "with\ttab"])
async def test_a_key_that_is_none_is_refused(api: httpx.AsyncClient, key: str) -> None:
    response = await api.post(f"{NS}/jobs", json=SPEC, headers=keyed(key))
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")


async def test_a_batch_takes_what_it_can_and_is_replayed(api: httpx.AsyncClient) -> None:
    package = {"working_dir": f"sha256:{'0' * 64}"}
    items = [SPEC, {"entrypoint": 3}, {**SPEC, "runtime_env": package}, {**SPEC, "name": "last"}]
    first = await api.post(f"{NS}/jobs/batch", json={"items": items}, headers=keyed("k"))
    assert first.status_code == 200
    made = first.json()["items"]
    assert [item["job"] is not None for item in made] == [True, False, False, True]
    assert [item["problem"] and item["problem"]["code"] for item in made] == [
        None,
        "invalid-request",
        "package-not-found",
        None,
    ]
    assert made[3]["job"]["name"] == "last"
    again = await api.post(f"{NS}/jobs/batch", json={"items": items}, headers=keyed("k"))
    assert again.headers["idempotency-replayed"] == "true"
    assert [item["job"] and item["job"]["id"] for item in again.json()["items"]] == [
        item["job"] and item["job"]["id"] for item in made
    ]
    assert await count(api) == 2


@pytest.mark.parametrize("items", [[], [SPEC] * 1_001, ["no object"], None])
async def test_a_batch_that_is_none_is_refused(api: httpx.AsyncClient, items: object) -> None:
    response = await api.post(f"{NS}/jobs/batch", json={"items": items})
    assert response.status_code in {413, 422}


async def test_a_finished_job_is_submitted_again(api: httpx.AsyncClient, platform: Platform) -> None:
    job = await submit(api, name="train", labels={"env": "prod"})
    early = await api.post(f"{NS}/jobs/{job['id']}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "not-finished")
    await finish(platform, job["id"])
    again = await api.post(f"{NS}/jobs/{job['id']}/retry", headers=keyed("k"))
    replay = await api.post(f"{NS}/jobs/{job['id']}/retry", headers=keyed("k"))
    assert (again.status_code, replay.status_code) == (201, 200)
    assert again.json()["id"] == replay.json()["id"] != job["id"]
    assert again.json()["retry_of"] == job["id"]
    assert again.json()["spec"] == job["spec"]
    absent = await api.post(f"{NS}/jobs/job-{'0' * 26}/retry")
    assert absent.status_code == 404


async def test_what_this_release_cannot_read_is_not_submitted_as_something_else(
    api: httpx.AsyncClient, platform: Platform
) -> None:
    job = await submit(api)
    await finish(platform, job["id"])
    newer = update(jobs).where(jobs.c.id == job["id"]).values(spec=text("'{\"entrypoint\": 5}'"))
    await platform.database.write(lambda conn: conn.execute(newer))
    answer = await api.post(f"{NS}/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "unreadable-spec")


async def test_only_a_job_that_a_cluster_works_on_is_queued_again(api: httpx.AsyncClient, platform: Platform) -> None:
    job = await submit(api)
    path = f"{NS}/jobs/{job['id']}/requeue"
    early = await api.post(path)
    assert (early.status_code, early.json()["code"]) == (409, "not-running")
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=f"{job['id']}-1", actor="test"))
    first = await api.post(path, json={"reason": "drain"}, headers={"x-dartjobs-user": "op"})
    second = await api.post(path, headers={"x-dartjobs-user": "eve"})
    assert (first.status_code, second.status_code) == (202, 202)
    wish = first.json()["requeue"]
    assert (wish["attempt"], wish["by"], wish["reason"]) == (1, "op", "drain")
    assert second.json()["requeue"] == wish


async def test_a_requeue_names_the_latest_attempt_or_one_that_was_sent_back(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    wrong = await api.post(f"{NS}/jobs/{job['id']}/requeue", json={"attempt": 2})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "not-running")
    assert "attempt 1" in wrong.json()["detail"]


async def test_every_job_that_matches_is_stopped_page_by_page(api: httpx.AsyncClient, platform: Platform) -> None:
    jobs = [await submit(api, labels={"env": "dev"}) for _ in range(5)]
    kept = await submit(api, labels={"env": "prod"})
    await finish(platform, jobs[0]["id"])
    stopped: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, str | int] = {"selector": "env=dev", "limit": 2}
        if cursor is not None:
            params["cursor"] = cursor
        page = (await api.post(f"{NS}/jobs/stop", params=params, json={"reason": "enough"})).json()
        stopped += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert stopped == [job["id"] for job in reversed(jobs[1:])]
    for job in jobs[1:]:
        got = (await api.get(f"{NS}/jobs/{job['id']}")).json()
        assert got["stop"]["reason"] == "enough"
    assert (await api.get(f"{NS}/jobs/{kept['id']}")).json()["stop"] is None


async def test_a_stop_without_a_filter_has_to_say_all(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    assert (await api.post(f"{NS}/jobs/stop")).status_code == 422
    assert (await api.post(f"{NS}/jobs/stop", params={"all": True})).json()["items"] == [job["id"]]


async def test_a_stop_makes_a_queued_attempt_due_at_once(api: httpx.AsyncClient, platform: Platform) -> None:
    job = await submit(api, timeouts={"queued": "1h"})
    await platform.database.write(lambda conn: conn.execute(update(table).values(due_at=None)))
    await api.post(f"{NS}/jobs/{job['id']}/stop")
    assert await platform.database.read(lambda conn: conn.scalar(select(table.c.due_at))) is not None


async def test_attempts_are_listed(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    items = (await api.get(f"{NS}/jobs/{job['id']}/attempts")).json()["items"]
    assert [item["id"] for item in items] == [f"{job['id']}-1"]
    assert (await api.get(f"{NS}/jobs/job-{'0' * 26}/attempts")).status_code == 404
