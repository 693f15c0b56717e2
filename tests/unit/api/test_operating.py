"""What operators meet: permissions, limits, metrics, clusters, explanations, errors of HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request

from dartjobs.api.app import create_app
from dartjobs.api.auth import Principal, UnprotectedRouteError, allow
from dartjobs.api.limits import RateLimit
from dartjobs.api.settings import ApiSettings
from dartjobs.core.queueing import Capacity, Resources
from dartjobs.models.problem import ForbiddenError, RateLimitedError, UnauthenticatedError
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters
from tests.fakes.platform import take_lease

NS = "/api/v1/namespaces/team"
SPEC = {"entrypoint": "true"}


@asynccontextmanager
async def client_of(platform: Platform, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = options.pop("settings", ApiSettings())
    transport = httpx.ASGITransport(create_app(platform, settings, **options))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7878") as client:
        yield client


class Doorkeeper:
    """Knows ann; lets her read only."""

    async def authenticate(self, request: Request) -> Principal:
        if request.headers.get("authorization") != "Bearer ann":
            raise UnauthenticatedError
        return Principal("ann")

    async def authorize(self, principal: Principal, permission: str, namespace: str | None) -> None:
        if not permission.endswith(":read") or namespace not in {None, "team"}:
            msg = f"{principal.user} may not {permission} in {namespace}."
            raise ForbiddenError(msg)


def test_a_route_without_a_permission_stops_the_start(platform: Platform) -> None:
    router = APIRouter()
    router.add_api_route("/open", lambda: "come in")
    with pytest.raises(UnprotectedRouteError, match="/open"):
        create_app(platform, ApiSettings(), routers=[router])
    named = APIRouter()
    named.add_api_route("/named", lambda: "who?", dependencies=[allow("jobs:read")])
    create_app(platform, ApiSettings(), routers=[named])


async def test_every_route_but_the_public_ones_asks_who_it_is(platform: Platform) -> None:
    public = {"/healthz", "/readyz", "/metrics", "/api/v1/version", "/api/v1/schemas/jobspec"}
    asked = 0
    async with client_of(platform, authenticator=Doorkeeper()) as api:
        for path, methods in (await api.get("/openapi.json")).json()["paths"].items():
            for method in methods:
                place = path.format(namespace="team", job_id="job-" + "0" * 26, ref=f"sha256:{'0' * 64}", name="local")
                response = await api.request(method, place)
                assert (response.status_code == 401) is (path not in public), (method, path, response.text)
                asked += 1
    assert asked > 20


async def test_what_one_may_not_do_is_refused(platform: Platform) -> None:
    mine = {"authorization": "Bearer ann"}
    async with client_of(platform, authenticator=Doorkeeper()) as api:
        assert (await api.get(f"{NS}/jobs", headers=mine)).status_code == 200
        for refused in (
            await api.post(f"{NS}/jobs", json=SPEC, headers=mine),
            await api.post(f"{NS}/jobs/batch", json={"items": [SPEC]}, headers=mine),
            await api.get("/api/v1/namespaces/other/jobs", headers=mine),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_too_many_requests_of_one_user_are_told_when_to_come_back(platform: Platform) -> None:
    settings = ApiSettings(requests_per_second=0.01, burst=2)
    async with client_of(platform, settings=settings) as api:
        answers = [await api.get(f"{NS}/jobs", headers={"x-dartjobs-user": "ann"}) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert answers[2].json()["code"] == "rate-limited"
        assert 90 <= int(answers[2].headers["retry-after"]) <= 100
        assert (await api.get(f"{NS}/jobs", headers={"x-dartjobs-user": "bob"})).status_code == 200
        assert (await api.get("/healthz")).status_code == 200


async def test_too_many_requests_of_one_address_are_refused(platform: Platform) -> None:
    settings = ApiSettings(address_requests_per_second=0.01, address_burst=1)
    async with client_of(platform, settings=settings) as api:
        statuses = [(await api.get(f"{NS}/jobs", headers={"x-dartjobs-user": str(n)})).status_code for n in range(2)]
        assert statuses == [200, 429]


def test_a_rate_is_kept_over_time() -> None:
    at = [0.0]
    limit = RateLimit(2.0, 3, clock=lambda: at[0])
    passed = 0
    for step in range(100):
        at[0] = step * 0.1
        with suppress(RateLimitedError):
            limit.take("ann")
            passed += 1
    assert passed == 3 + int(9.9 * 2)


async def test_a_fault_has_the_requests_id_and_is_counted(platform: Platform) -> None:
    router = APIRouter()

    @router.get("/broken", dependencies=[allow("jobs:read")])
    async def broken() -> None:
        raise ZeroDivisionError

    async with client_of(platform, routers=[router]) as api:
        answer = await api.get("/broken", headers={"x-request-id": "mine"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")
        assert (answer.json()["code"], answer.json()["title"]) == ("internal", "The server failed.")
        assert 'status="500"' in (await api.get("/metrics")).text


async def test_metrics_name_routes_by_their_template(platform: Platform) -> None:
    async with client_of(platform) as api:
        await api.post(f"{NS}/jobs", json=SPEC)
        await api.get(f"{NS}/jobs/job-{'0' * 26}")
        await api.get("/nowhere/at/all")
        text = (await api.get("/metrics")).text
    prefix = 'dartjobs_api_request_seconds_count{method="GET",route='
    template = "/api/v1/namespaces/{namespace}/jobs/{job_id}"
    assert f'{prefix}"{template}",status="404"}} 1.0' in text
    assert f'{prefix}"unknown",status="404"}} 1.0' in text
    assert "dartjobs_api_submissions_per_transaction_sum 1.0" in text
    assert 'dartjobs_attempts{resource_state="QUEUED"} 1.0' in text
    assert "team" not in text


async def register(platform: Platform, name: str = "local", cpu: int = 4) -> None:
    capacity = Capacity(Resources(Decimal(cpu), 8 * 2**30))
    registration = clusters.Registration(name, "identity", capacity, {"zone": "a"})
    await platform.database.write(partial(clusters.register, registration=registration))


async def test_a_cluster_is_shown_cordoned_given_up_and_readmitted(platform: Platform, api: httpx.AsyncClient) -> None:
    await register(platform)
    assert (await api.get("/api/v1/clusters")).json()["items"][0]["state"] == "UNREACHABLE"
    await take_lease(platform)
    one = (await api.get("/api/v1/clusters/local")).json()
    assert (one["state"], one["capacity"]["cpu"], one["attempts"]) == ("READY", "4", 0)
    for action, state in (("cordon", "CORDONED"), ("cordon", "CORDONED"), ("uncordon", "READY"), ("lost", "LOST")):
        response = await api.post(f"/api/v1/clusters/local/{action}", headers={"x-dartjobs-user": "op"})
        assert (response.status_code, response.json()["state"]) == (200, state)
    assert response.json()["lost_by"] == "op"
    assert (await api.post("/api/v1/clusters/local/readmit")).json()["lost_at"] is None
    for action in ("cordon", "lost", "readmit"):
        assert (await api.post(f"/api/v1/clusters/none/{action}")).json()["code"] == "not-found"


async def test_an_explanation_says_what_each_cluster_says(platform: Platform, api: httpx.AsyncClient) -> None:
    await register(platform)
    await register(platform, "small", cpu=1)
    for name in ("local", "small"):
        await take_lease(platform, name)
    await api.post(f"{NS}/jobs", json=SPEC)
    spec = {**SPEC, "head": {"cpu": 2}, "timeouts": {"queued": "1h"}}
    job = (await api.post(f"{NS}/jobs", json=spec)).json()
    queued = (await api.get(f"{NS}/jobs/{job['id']}/explain")).json()
    assert (queued["position"], queued["resource_state"]) == (2, "QUEUED")
    assert {one["name"]: one["fits"] for one in queued["clusters"]} == {"local": True, "small": False}
    assert "QUEUED_TIMEOUT" in queued["next"]
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=f"{job['id']}-1", actor="test"))
    claimed = (await api.get(f"{NS}/jobs/{job['id']}/explain")).json()
    assert (claimed["position"], claimed["clusters"]) == (None, [])
    assert "bringing up" in claimed["summary"]
    assert "CREATING_TIMEOUT" in claimed["next"]


async def test_an_explanation_names_the_refusal_of_each_cluster(platform: Platform, api: httpx.AsyncClient) -> None:
    settings = {
        "full": {"limits": {"jobs": 1}},
        "little": {"limits": {"cpu": "500m"}},
        "closed": {"namespaces": ["other"]},
        "labelled": {"labels": {"zone": "b"}},
        "cordoned": {},
        "never-seen": {},
    }
    for name, body in settings.items():
        assert (await api.put(f"/api/v1/clusters/{name}", json=body)).status_code == 200
        if name != "never-seen":
            await register(platform, name)
            lease = await take_lease(platform, name)
        if name == "full":
            held = (await api.post(f"{NS}/jobs", json=SPEC)).json()
            claim = partial(attempts.claim, lease=lease, attempt_id=f"{held['id']}-1", actor="test")
            await platform.database.write(claim)
    await api.post("/api/v1/clusters/cordoned/cordon")
    job = (await api.post(f"{NS}/jobs", json={**SPEC, "cluster_selector": {"zone": "a"}})).json()
    shown = (await api.get(f"{NS}/jobs/{job['id']}/explain")).json()
    assert {one["name"]: one["refusal"] for one in shown["clusters"]} == {
        "full": "LIMIT",
        "little": "TOO_LARGE",
        "closed": "NAMESPACE",
        "labelled": "SELECTOR",
        "cordoned": "CORDONED",
        "never-seen": "SELECTOR",
    }
    words = {one["name"]: one["detail"] for one in shown["clusters"]}
    assert words["full"] == "It holds 1 jobs, as many as it may."
    assert "ask for less" in shown["advice"]
    assert words["little"] == "It may hold no more than 500m CPU."
    assert words["labelled"] == "It lacks the labels zone=a."


async def test_where_asking_for_less_does_not_help_the_operator_is_named(api: httpx.AsyncClient) -> None:
    await api.put("/api/v1/clusters/closed", json={"namespaces": ["other"]})
    job = (await api.post(f"{NS}/jobs", json=SPEC)).json()
    shown = (await api.get(f"{NS}/jobs/{job['id']}/explain")).json()
    assert shown["advice"].startswith("Ask your operator")
    assert "closed takes no jobs of namespace team" in shown["summary"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": {}}, "limit"),
        ({"limits": {"cpus": 1}}, "limits.cpus"),
        ({"limits": {"jobs": 0}}, "limits.jobs"),
        ({"namespaces": ["Team"]}, "namespaces"),
        ({"placement": "scatter"}, "placement"),
        ({"labels": {"zone": "a b"}}, "labels.zone"),
    ],
)
async def test_settings_that_mean_nothing_are_refused_by_name(
    api: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    response = await api.put("/api/v1/clusters/local", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(field)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", f"{NS}/jobs", 405, "method-not-allowed"),
        ("GET", "/api/v2", 404, "not-found"),
        ("GET", f"{NS}/jobs?selector=a%20in%20b", 422, "invalid-request"),
        ("GET", f"{NS}/jobs?limit=99999999999999999999", 422, "invalid-request"),
        ("GET", f"{NS}/jobs?submitted_after=2020-01-01T00:00:00", 422, "invalid-request"),
        ("GET", f"{NS}/jobs?cursor=x", 422, "invalid-request"),
        ("GET", "/api/v1/clusters/no%20name", 422, "invalid-request"),
    ],
)
async def test_http_errors_are_problems(api: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    response = await api.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_times_at_the_ends_of_the_calendar_are_no_fault(api: httpx.AsyncClient) -> None:
    times = {"submitted_after": "0001-01-01T00:00:00+00:00", "submitted_before": "9999-12-31T23:59:59+00:00"}
    assert (await api.get(f"{NS}/jobs", params=times)).status_code == 200


async def test_a_body_that_is_no_json_is_refused(api: httpx.AsyncClient) -> None:
    for headers, body, status in (
        ({"content-type": "text/plain"}, b"{}", 415),
        ({"content-type": "application/json"}, b"{", 422),
        ({"content-type": "application/json"}, b'{"entrypoint": "\xff"}', 422),
        ({"content-type": "application/json"}, b'{"entrypoint": "true", "priority": 1e400}', 422),
    ):
        assert (await api.post(f"{NS}/jobs", content=body, headers=headers)).status_code == status


async def test_amounts_that_no_column_holds_are_refused(api: httpx.AsyncClient) -> None:
    for head in ({"memory": "9999999999999P"}, {"cpu": "999999999999999P"}, {"memory": "8Ei"}):
        response = await api.post(f"{NS}/jobs", json={**SPEC, "head": head})
        assert response.status_code == 422
    workers = [{"memory": "1Pi", "min_replicas": 10_000, "max_replicas": 10_000}]
    assert (await api.post(f"{NS}/jobs", json={**SPEC, "workers": workers})).status_code == 422


async def test_the_version_is_told(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/version")).json()["api"] == "v1"
