"""The gateway believes only an attempt's own token, stores each byte once, and keeps the first report."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from dartjobs.core.world import UNREACHABLE, Evidence, Move
from dartjobs.gateway.app import create_app
from dartjobs.gateway.settings import GatewaySettings
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.services.tokens import attempt_token
from dartjobs.store import attempts, evidence, wakeups
from tests.fakes.blobs import FolderStore
from tests.fakes.platform import parts_of, platform_at, take_lease

SECRET = b"secret"
SETTINGS = GatewaySettings(known_attempt_seconds=0, push_limit=1_000)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


@pytest.fixture
async def gateway(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(platform, SETTINGS, secret=SECRET, installation="here")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def claimed(platform: Platform) -> str:
    job = await service.submit(platform, "team", "ann", JobSpec(entrypoint="true"))
    lease = await take_lease(platform)
    await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=job.attempt.id, actor="sync"))
    return job.attempt.id


def headers(attempt_id: str, installation: str = "here") -> dict[str, str]:
    return {"authorization": f"Bearer {attempt_token(SECRET, installation, attempt_id)}"}


async def test_a_token_opens_one_attempt_only(platform: Platform, gateway: httpx.AsyncClient) -> None:
    mine, other = await claimed(platform), await claimed(platform)
    calls = {
        "start": {"head_uid": "h", "pid": 1},
        "heartbeat": {},
        "logs/driver?offset=0": {},
        "exit": {"code": 0, "log_end": 0},
    }
    for path, body in calls.items():
        for wrong in (
            {},
            headers(other),
            headers(mine, "elsewhere"),
            {"authorization": "Bearer "},
            {"authorization": "Basic x"},
        ):
            answer = await gateway.post(f"/v1/attempts/{mine}/{path}", json=body, headers=wrong)
            assert answer.status_code == 401, path
    assert await platform.database.read(partial(evidence.read_evidence, attempt_id=mine)) == Evidence()


@pytest.mark.parametrize("path", ["start", "exit", "heartbeat", "logs/driver?offset=0"])
async def test_no_body_is_read_beyond_the_limit_whoever_sends_it(gateway: httpx.AsyncClient, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * SETTINGS.push_limit
        pytest.fail("all of it was read")

    answer = await gateway.post(f"/v1/attempts/job-1/{path}", content=endless())
    assert answer.status_code in {401, 413}


async def test_a_start_is_granted_to_one_runner(platform: Platform, gateway: httpx.AsyncClient) -> None:
    attempt = await claimed(platform)
    path, mine = f"/v1/attempts/{attempt}/start", headers(attempt)
    first = {"head_uid": "h", "pid": 1}
    assert (await gateway.post(path, json=first, headers=mine)).status_code == 204
    assert (await gateway.post(path, json=first, headers=mine)).status_code == 204
    assert (await gateway.post(path, json={"head_uid": "h", "pid": 2}, headers=mine)).status_code == 409
    [wakeup] = await platform.database.read(partial(wakeups.read_wakeups, cluster="local"))
    assert wakeup.attempt_id == attempt


async def test_log_bytes_are_stored_once_whatever_is_repeated(platform: Platform, gateway: httpx.AsyncClient) -> None:
    attempt = await claimed(platform)

    async def push(offset: int, data: bytes) -> int:
        url = f"/v1/attempts/{attempt}/logs/driver?offset={offset}"
        answer = await gateway.post(url, content=data, headers=headers(attempt))
        assert answer.status_code == 200
        end: int = answer.json()["end"]
        return end

    assert await push(0, b"hello ") == 6
    assert await push(0, b"hello ") == 6
    assert await push(9, b"too far") == 6
    assert await push(3, b"lo world") == 11
    assert b"".join([chunk async for chunk in platform.logs.read(attempt, "driver", 0)]) == b"hello world"
    too_much = await gateway.post(
        f"/v1/attempts/{attempt}/logs/driver?offset=11", content=b"x" * 1_001, headers=headers(attempt)
    )
    assert too_much.status_code == 413


async def test_what_the_object_store_cannot_take_now_is_asked_for_again(platform: Platform, tmp_path: Path) -> None:
    """The runner keeps it meanwhile, within its bound; the database hears of the exit all the same."""
    folder = FolderStore(tmp_path / "objects")
    parts = parts_of(platform.database, platform.bus, folder.store)
    app = create_app(parts, SETTINGS, secret=SECRET, installation="here")
    attempt = await claimed(platform)
    path, mine = f"/v1/attempts/{attempt}", headers(attempt)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as gateway:
        await gateway.post(f"{path}/logs/driver?offset=0", content=b"before ", headers=mine)
        with folder.away():
            refused = await gateway.post(f"{path}/logs/driver?offset=7", content=b"meanwhile", headers=mine)
            assert refused.status_code == 503
            exited = await gateway.post(f"{path}/exit", json={"code": 0, "log_end": 16}, headers=mine)
            assert exited.status_code == 204
        again = await gateway.post(f"{path}/logs/driver?offset=7", content=b"meanwhile", headers=mine)
        assert again.json()["end"] == 16
    assert b"".join([chunk async for chunk in parts.logs.read(attempt, "driver", 0)]) == b"before meanwhile"


async def test_the_first_exit_stands_and_completes_the_log(platform: Platform, gateway: httpx.AsyncClient) -> None:
    attempt = await claimed(platform)
    path = f"/v1/attempts/{attempt}/exit"
    for code in (3, 0):
        body = {"code": code, "log_end": 7, "signal": None, "stopping": False, "error": None}
        assert (await gateway.post(path, json=body, headers=headers(attempt))).status_code == 204
    known = await platform.database.read(partial(evidence.read_evidence, attempt_id=attempt))
    assert known.exit is not None
    assert (known.exit.code, known.log_end) == (3, 7)


async def test_an_attempt_that_is_over_may_report_no_more(platform: Platform, gateway: httpx.AsyncClient) -> None:
    attempt = await claimed(platform)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt))
    assert loaded is not None
    lease = await take_lease(platform)
    over = Move(Pair(ResourceState.TERMINATED, JobState.STOPPED), Reason.USER_STOP)
    view = loaded.view(UNREACHABLE)
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=over, actor="test"))
    answer = await gateway.post(f"/v1/attempts/{attempt}/heartbeat", json={}, headers=headers(attempt))
    assert answer.status_code == 410


async def test_a_start_is_refused_once_the_attempt_has_its_outcome(
    platform: Platform, gateway: httpx.AsyncClient
) -> None:
    attempt = await claimed(platform)
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt))
    assert loaded is not None
    lease = await take_lease(platform)
    lost = Move(Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.CLUSTER_LOST)
    view = loaded.view(UNREACHABLE)
    await platform.database.write(partial(attempts.record_move, lease=lease, view=view, move=lost, actor="test"))
    answer = await gateway.post(
        f"/v1/attempts/{attempt}/start", json={"head_uid": "h", "pid": 1}, headers=headers(attempt)
    )
    assert answer.status_code == 409
