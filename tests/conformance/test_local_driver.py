"""Real Ray on this machine: one head with a worker node for the whole module."""

import contextlib
import io
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import httpx
import psutil
import pytest
import pytest_asyncio

from dartjobs.core.world import RayJobStatus
from dartjobs.drivers.base import Driver, Launch
from dartjobs.drivers.local.driver import LocalDriver
from dartjobs.drivers.local.folder import Folder
from dartjobs.drivers.local.keeper import TAG
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.models.spec import JobSpec
from tests.conformance.driver import SMALL, SPEC, DriverSuite, Head, bring_up, new_attempt, take_down, until_status
from tests.fakes.gateway import TOKEN, FakeGateway
from tests.fakes.polling import eventually

pytestmark = [pytest.mark.ray, pytest.mark.asyncio(loop_scope="module")]

WITH_WORKER = JobSpec.model_validate(
    {"entrypoint": "true", "head": SMALL, "workers": [{"cpu": 1, "memory": "1Gi", "resources": {"hand": 1}}]}
)
CODE = """
import os, sys, ray

ray.init()

@ray.remote(resources={"hand": 1}, num_cpus=0)
def where():
    return ray.get_runtime_context().get_node_id()

here = ray.get_runtime_context().get_node_id()
print("on another node:", ray.get(where.remote()) != here)
print("argument:", sys.argv[1], "variable:", os.environ["COLOUR"], "number:", os.environ["DARTJOBS_ATTEMPT"])
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _forgets(gateway: FakeGateway) -> None:
    """Each test submits for the same attempt; the gateway would refuse the second start."""
    gateway.starts.clear()
    gateway.exits.clear()
    gateway.log.clear()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(data_dir: Path) -> AsyncIterator[LocalDriver]:
    local = LocalDriver(LocalSettings(data_dir))
    yield local
    await local.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def head(driver: Driver, gateway: FakeGateway) -> AsyncIterator[Head]:
    up = await bring_up(driver, gateway.url, WITH_WORKER)
    yield up
    await take_down(driver, up.attempt)
    assert of(up.attempt.id) == []


@pytest.fixture
def gateway_url(gateway: FakeGateway) -> str:
    return gateway.url


def of(attempt_id: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(TAG) == attempt_id:
                found.append(process)
    return found


class TestLocalDriver(DriverSuite):
    pass


async def test_code_runs_unmodified_with_its_package_on_every_node(
    driver: Driver, head: Head, gateway: FakeGateway
) -> None:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as package:
        package.writestr("greet.py", CODE)
    ref = f"sha256:{sha256(buffer.getvalue()).hexdigest()}"

    async def chunks() -> AsyncIterator[bytes]:
        yield buffer.getvalue()

    await driver.put_package(head.attempt, ref, chunks(), len(buffer.getvalue()))
    environment = {"working_dir": ref, "env_vars": {"COLOUR": "green"}}
    submission = head.submission(
        JobSpec.model_validate({"entrypoint": ["python", "greet.py", "a b"], "runtime_env": environment})
    )
    await driver.submit(submission)
    await until_status(driver, submission, RayJobStatus.SUCCEEDED, RayJobStatus.FAILED)
    lines = gateway.log.decode().splitlines()
    assert "on another node: True" in lines
    assert "argument: a b variable: green number: 1" in lines
    assert gateway.exits[0]["code"] == 0


async def test_a_failed_driver_is_told_with_its_exit_code(driver: Driver, head: Head, gateway: FakeGateway) -> None:
    submission = head.submission(JobSpec(entrypoint="echo so; exit 3"))
    await driver.submit(submission)
    seen = await until_status(driver, submission, RayJobStatus.FAILED)
    assert seen.ray_job is not None
    assert (seen.ray_job.exit_code, seen.ray_job.error_type) == (3, "JOB_ENTRYPOINT_COMMAND_ERROR")
    assert gateway.log == b"so\n"


async def test_nothing_can_be_reached_from_outside_this_machine(head: Head) -> None:
    listening = set()
    for process in of(head.attempt.id):
        with contextlib.suppress(psutil.Error):
            connections = process.net_connections("inet")
            listening |= {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


async def test_nobody_without_the_token_can_use_the_head(head: Head, data_dir: Path) -> None:
    record = Folder(data_dir / "clusters" / head.attempt.id).record()
    assert record is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{record.dashboard_port}/api/jobs/", json={"entrypoint": "id"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED


async def test_a_head_that_dies_takes_everything_with_it(driver: Driver, gateway: FakeGateway, data_dir: Path) -> None:
    attempt = new_attempt()
    await driver.create(Launch(attempt, SPEC, TOKEN, gateway.url))

    async def processes() -> list[psutil.Process]:
        return of(attempt.id)

    running = await eventually(processes, lambda found: len(found) > 4)
    keeper = int((data_dir / "clusters" / attempt.id / "keeper.pid").read_text())
    next(one for one in running if one.ppid() == keeper).kill()
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.head_uid is None)
    assert of(attempt.id) == []
    assert seen.cluster_uid is not None
    assert seen.failure is not None
    assert "The Ray head ended" in seen.failure.message
    await take_down(driver, attempt)
