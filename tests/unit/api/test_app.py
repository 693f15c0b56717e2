"""The API as a client meets it: problems that say what to do, guards, logs by range."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dartjobs.api.app import create_app
from dartjobs.api.settings import ApiSettings
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.store import evidence
from tests.fakes.platform import platform_at
from tests.fakes.zips import ref_of, zipped

NS = "/api/v1/namespaces/team"
ABSENT = "job-" + "0" * 26


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


@pytest.fixture
async def api(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(platform, ApiSettings(body_limit=10_000)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7878") as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["request_id"]) == (status, code, response.headers["x-request-id"])
    return body


async def submit(api: httpx.AsyncClient, **spec: object) -> dict[str, Any]:
    response = await api.post(f"{NS}/jobs", json={"entrypoint": "true", **spec}, headers={"x-dartjobs-user": "ann"})
    assert response.status_code == 201, response.text
    job: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{NS}/jobs/{job['id']}"
    return job


async def test_a_submitted_job_is_there_with_its_user_and_history(api: httpx.AsyncClient) -> None:
    job = await submit(api, name="train")
    got = (await api.get(f"{NS}/jobs/{job['id']}")).json()
    assert (got["user"], got["name"], got["resource_state"], got["job_state"]) == ("ann", "train", "QUEUED", "WAITING")
    assert got["why"] == "No cluster is registered yet."
    [first] = (await api.get(f"{NS}/jobs/{job['id']}/events")).json()["items"]
    assert (first["reason"], first["actor"]) == ("SUBMITTED", "ann")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"entrypoint": "true", "replicas": 3}, "replicas"),
        ({"entrypoint": "true", "head": {"memory": "lots"}}, "head.memory"),
        ({"entrypoint": "true", "head": {"cpus": 2}}, "head.cpus"),
        ({"entrypoint": "true", "timeouts": {"job": "soon"}}, "timeouts.job"),
        ({"entrypoint": "true", "name": "Not A Name"}, "name"),
        ({"entrypoint": "true", "runtime_env": {"working_dir": "./code"}}, "runtime_env.working_dir"),
        ({}, "entrypoint"),
    ],
)
async def test_a_bad_specification_is_refused_by_field(
    api: httpx.AsyncClient, spec: dict[str, Any], field: str
) -> None:
    body = problem(await api.post(f"{NS}/jobs", json=spec), 422, "invalid-request")
    assert field in {error["field"] for error in body["errors"]}
    assert (await api.get(f"{NS}/jobs")).json()["items"] == []


async def test_a_package_that_was_not_uploaded_is_named(api: httpx.AsyncClient) -> None:
    spec = {"entrypoint": "true", "runtime_env": {"working_dir": "sha256:" + "0" * 64}}
    body = problem(await api.post(f"{NS}/jobs", json=spec), 422, "package-not-found")
    assert "upload" in body["detail"]


async def test_another_namespace_sees_the_same_404_as_for_no_job(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    foreign = problem(await api.get(f"/api/v1/namespaces/other/jobs/{job['id']}"), 404, "not-found")
    absent = problem(await api.get(f"/api/v1/namespaces/other/jobs/{ABSENT}"), 404, "not-found")
    assert foreign["detail"].replace(job["id"], ABSENT) == absent["detail"]
    for path in ("events", "logs", "watch"):
        problem(await api.get(f"/api/v1/namespaces/other/jobs/{job['id']}/{path}"), 404, "not-found")
    problem(await api.post(f"/api/v1/namespaces/other/jobs/{job['id']}/stop"), 404, "not-found")


async def test_a_stop_is_recorded_once_with_who_asked(api: httpx.AsyncClient) -> None:
    job = await submit(api)
    path = f"{NS}/jobs/{job['id']}/stop"
    first = (await api.post(path, json={"reason": "too slow"}, headers={"x-dartjobs-user": "bob"})).json()
    second = (await api.post(path, headers={"x-dartjobs-user": "eve"})).json()
    assert first["stop"] == second["stop"]
    assert (first["stop"]["by"], first["stop"]["reason"]) == ("bob", "too slow")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:7878"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_a_foreign_host_or_origin_is_refused(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await api.post(f"{NS}/jobs", json={"entrypoint": "true"}, headers=headers)
    problem(response, 403, "forbidden-host")
    assert (await api.get(f"{NS}/jobs")).json()["items"] == []


@pytest.mark.parametrize("host", ["localhost:1", "[::1]:7878", "127.0.0.1"])
async def test_the_names_of_this_machine_are_let_in(api: httpx.AsyncClient, host: str) -> None:
    assert (await api.get("/healthz", headers={"host": host, "origin": f"http://{host}"})).status_code == 200


def test_another_address_needs_an_explicit_word() -> None:
    with pytest.raises(ValueError, match="allow-unauthenticated"):
        ApiSettings(host="0.0.0.0")  # noqa: S104 - what is refused
    assert ApiSettings(host="0.0.0.0", allow_unauthenticated=True).allow_unauthenticated  # noqa: S104 - what is allowed


async def test_a_body_over_the_limit_is_refused_announced_or_not(api: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1_000

    problem(await api.post(f"{NS}/jobs", content=b" " * 20_000), 413, "body-too-large")
    problem(await api.post(f"{NS}/jobs", content=chunks()), 413, "body-too-large")


async def test_what_does_not_exist_is_a_problem_too(api: httpx.AsyncClient) -> None:
    problem(await api.get("/api/v2/jobs"), 404, "not-found")
    problem(await api.delete(f"{NS}/jobs"), 405, "method-not-allowed")
    problem(await api.get(f"{NS}/jobs/../../etc"), 404, "not-found")
    problem(await api.get(f"{NS}/jobs/no-such-form"), 422, "invalid-request")


async def test_a_package_is_stored_once_and_verified(api: httpx.AsyncClient) -> None:
    data = zipped(**{"train.py": b"print(1)"})
    ref = ref_of(data)
    problem(await api.put(f"{NS}/packages/sha256:{'0' * 64}", content=data), 400, "package-mismatch")
    assert (await api.head(f"{NS}/packages/{ref}")).status_code == 404
    assert (await api.put(f"{NS}/packages/{ref}", content=data)).status_code == 201
    assert (await api.put(f"{NS}/packages/{ref}", content=data)).status_code == 200
    assert (await api.head(f"{NS}/packages/{ref}")).status_code == 200
    assert (await api.head(f"/api/v1/namespaces/other/packages/{ref}")).status_code == 404
    await submit(api, runtime_env={"working_dir": ref})


async def test_a_package_is_uploaded_in_parts(api: httpx.AsyncClient) -> None:
    data = zipped(**{"train.py": b"print(1)"})
    one, wrong = f"{NS}/packages/{ref_of(data)}", f"{NS}/packages/{ref_of(b'')}"
    assert (await api.head(f"{one}/upload")).status_code == 404
    first = await api.patch(f"{one}/upload", content=data[:10], headers={"upload-offset": "0"})
    assert (first.status_code, first.headers["upload-offset"]) == (204, "10")
    standing = await api.head(f"{one}/upload")
    assert (standing.status_code, standing.headers["upload-offset"]) == (204, "10")
    assert (await api.head(f"{one}/upload", headers={"x-dartjobs-user": "bob"})).status_code == 404
    assert (await api.head(one)).status_code == 404
    ahead = await api.patch(f"{one}/upload", content=b"x", headers={"upload-offset": "11"})
    problem(ahead, 409, "upload-offset-mismatch")
    assert ahead.headers["upload-offset"] == "10"
    last = {"upload-offset": "10", "upload-complete": "?1"}
    made = await api.patch(f"{one}/upload", content=data[10:], headers=last)
    assert (made.status_code, made.json()) == (201, {"ref": ref_of(data), "size": len(data)})
    assert (await api.head(one)).status_code == 200
    whole = {"upload-offset": "0", "upload-complete": "?1"}
    assert (await api.patch(f"{one}/upload", content=data, headers=whole)).status_code == 200
    problem(await api.patch(f"{wrong}/upload", content=data, headers=whole), 400, "package-mismatch")
    assert (await api.head(f"{wrong}/upload")).status_code == 404
    problem(await api.patch(f"{one}/upload", content=data, headers={"upload-offset": "?"}), 422, "invalid-request")


async def test_a_package_over_the_limit_is_told_the_limit(platform: Platform) -> None:
    transport = httpx.ASGITransport(create_app(platform, ApiSettings(package_limit=1_000)))
    data = zipped(large=bytes(1_001))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7878") as api:
        one = f"{NS}/packages/{ref_of(data)}"
        whole = await api.put(one, content=data)
        part = await api.patch(f"{one}/upload", content=data, headers={"upload-offset": "0"})
    for answer in (whole, part):
        assert "the limit of 1,000 bytes" in problem(answer, 413, "package-too-large")["detail"]


async def written(api: httpx.AsyncClient, platform: Platform, text: bytes) -> str:
    job = await submit(api)
    await platform.logs.append(job["attempt"]["id"], STREAM, 0, text)
    body = {"bytes": len(text)}
    report = partial(evidence.report, attempt_id=job["attempt"]["id"], kind="log_end", body=body)
    await platform.database.write(report)
    return f"{NS}/jobs/{job['id']}/logs"


@pytest.mark.parametrize(
    ("range_", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"one\n", "bytes 0-3/14"),
        ("bytes=4-", 206, b"two\nthree\n", "bytes 4-13/14"),
        ("bytes=-6", 206, b"three\n", "bytes 8-13/14"),
        ("bytes=4-99", 206, b"two\nthree\n", "bytes 4-13/14"),
        (None, 200, b"one\ntwo\nthree\n", None),
    ],
)
async def test_a_log_is_read_by_range(
    api: httpx.AsyncClient,
    platform: Platform,
    range_: str | None,
    status: int,
    body: bytes,
    content_range: str | None,
) -> None:
    path = await written(api, platform, b"one\ntwo\nthree\n")
    response = await api.get(path, headers={} if range_ is None else {"range": range_})
    assert (response.status_code, response.content) == (status, body)
    assert response.headers.get("content-range") == content_range
    assert response.headers["dartjobs-log-complete"] == "true"


async def test_a_log_is_read_by_its_last_lines_and_followed_to_its_end(
    api: httpx.AsyncClient, platform: Platform
) -> None:
    path = await written(api, platform, b"one\ntwo\nthree\n")
    tail = await api.get(path, params={"tail": 2})
    assert (tail.content, tail.headers["dartjobs-log-offset"]) == (b"two\nthree\n", "4")
    assert (await api.get(path, params={"follow": True}, headers={"range": "bytes=4-"})).content == b"two\nthree\n"
    assert (await api.get(path, params={"follow": True}, headers={"range": "bytes=14-"})).content == b""


@pytest.mark.parametrize("range_", ["bytes=", "bytes=9-3", "lines=1-2", "bytes=a-b", "bytes=0-1,3-4"])
async def test_a_range_that_is_none_is_a_problem(api: httpx.AsyncClient, platform: Platform, range_: str) -> None:
    path = await written(api, platform, b"one\n")
    problem(await api.get(path, headers={"range": range_}), 422, "invalid-request")


async def test_a_range_beyond_the_end_is_a_problem(api: httpx.AsyncClient, platform: Platform) -> None:
    path = await written(api, platform, b"one\n")
    problem(await api.get(path, headers={"range": "bytes=99-"}), 416, "range-not-satisfiable")


async def test_it_is_ready_with_its_database(api: httpx.AsyncClient) -> None:
    assert (await api.get("/healthz")).status_code == 200
    assert (await api.get("/readyz")).status_code == 200


async def test_the_schema_is_published(api: httpx.AsyncClient) -> None:
    schema = (await api.get("/api/v1/schemas/jobspec")).json()
    assert schema["additionalProperties"] is False
    assert "apiVersion" in schema["properties"]
    assert f"{NS.replace('team', '{namespace}')}/jobs" in (await api.get("/openapi.json")).json()["paths"]
