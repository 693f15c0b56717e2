"""The conformance suite on real Kubernetes and KubeRay: one head for the whole module."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from zipfile import ZipFile

import httpx
import pytest
import pytest_asyncio

from dartjobs.core.world import Observation, RayJobStatus
from dartjobs.drivers.base import Driver, Launch
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.credentials import credentials
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import HeadGroup, JobSpec
from testbed.api import Api
from tests.cluster.real import Cluster, held, kubectl
from tests.cluster.rights import granted, kubeconfig_with
from tests.conformance.driver import DriverSuite, Head, bring_up, new_attempt, take_down, until_status
from tests.fakes.gateway import TOKEN, FakeGateway
from tests.fakes.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE = 240.0
HEAD = HeadGroup.model_validate({"cpu": "500m", "memory": "2Gi"})
SPEC = JobSpec(entrypoint="true", head=HEAD)
CODE = "import os, ray\nray.init()\nprint('uid', ray.get(ray.remote(lambda: 7).remote()), os.environ['COLOUR'])\n"


@pytest.fixture(scope="module")
def gateway(cluster: Cluster) -> Iterator[FakeGateway]:
    with FakeGateway(cluster.bridge) as fake:
        yield fake


@pytest.fixture(autouse=True)
def _forgets(gateway: FakeGateway) -> None:
    gateway.starts.clear()
    gateway.exits.clear()
    gateway.log.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(
    cluster: Cluster, api: Api, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Driver]:
    """It has the rights of `deploy/rbac.yaml` and no other."""
    with granted(api, namespace) as token:
        path = tmp_path_factory.mktemp("sync") / "kubeconfig"
        one = cluster.driver(namespace, kubeconfig=kubeconfig_with(cluster.kubeconfig, token, path))
        yield one
        await one.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def head(driver: Driver, gateway: FakeGateway, cluster: Cluster, namespace: str) -> AsyncIterator[Head]:
    up = await bring_up(driver, gateway.url, SPEC, PATIENCE)
    yield up
    await take_down(driver, up.attempt)
    assert held(cluster, namespace) == []


@pytest.fixture
def gateway_url(gateway: FakeGateway) -> str:
    return gateway.url


def conditions(cluster: Cluster, namespace: str, attempt: Attempt) -> set[str]:
    """Those of its RayCluster that hold."""
    name = ("raycluster", attempt.id, f"--namespace={namespace}")
    found = json.loads(kubectl(cluster, "get", *name, "--output=json"))
    every = found.get("status", {}).get("conditions", [])
    return {one["type"] for one in every if one["status"] == "True"}


class TestKubeRayDriver(DriverSuite):
    spec = SPEC

    @pytest.fixture(autouse=True)
    def _knows_its_place(self, cluster: Cluster, namespace: str) -> None:
        self.place = cluster, namespace

    async def born(self, driver: Driver, attempt: Attempt) -> Observation:
        """KubeRay replaces a head until all pods were ready once."""

        async def provisioned() -> bool:
            return "RayClusterProvisioned" in conditions(*self.place, attempt)

        await eventually(provisioned, lambda is_so: is_so, PATIENCE)
        return await driver.observe(attempt, ask_ray=False)


@pytest.mark.usefixtures("head")
async def test_every_object_of_a_ray_cluster_is_there(cluster: Cluster, namespace: str) -> None:
    kinds = {one.partition("/")[0] for one in held(cluster, namespace)}
    assert {"raycluster.ray.io", "pod", "service", "secret", "configmap", "networkpolicy.networking.k8s.io"} <= kinds


async def test_code_runs_unmodified_with_its_package(driver: Driver, head: Head, gateway: FakeGateway) -> None:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as package:
        package.writestr("say.py", CODE)
    data = buffer.getvalue()
    ref = f"sha256:{sha256(data).hexdigest()}"

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await driver.put_package(head.attempt, ref, chunks(), len(data))
    environment = {"working_dir": ref, "env_vars": {"COLOUR": "green"}}
    submission = head.submission(
        JobSpec.model_validate({"entrypoint": ["python", "say.py"], "runtime_env": environment})
    )
    await driver.submit(submission)
    await until_status(driver, submission, RayJobStatus.SUCCEEDED, RayJobStatus.FAILED)
    gateway.wait_for(lambda: gateway.exits)
    assert "uid 7 green" in gateway.log.decode().splitlines()
    assert gateway.exits[0]["code"] == 0
    assert gateway.starts[0]["head_uid"] == head.seen.head_uid


async def test_nobody_without_the_token_can_use_the_head(head: Head, cluster: Cluster, namespace: str) -> None:
    found = credentials(cluster.kubeconfig, None)
    service = f"{names.head_service(head.attempt.id)}:dashboard"
    url = f"{found.server}{names.SERVICES.path(namespace, service)}/proxy/api/jobs/"
    async with httpx.AsyncClient(verify=found.verify, auth=found.auth, trust_env=False) as client:
        answer = await client.post(url, json={"entrypoint": "id"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED


async def test_an_image_that_is_not_there_fails_in_the_pods_own_words(
    driver: Driver, cluster: Cluster, namespace: str, gateway_url: str
) -> None:
    attempt = new_attempt()
    wrong = cluster.driver(namespace, image="localhost/no-such-image:1")
    await wrong.create(Launch(attempt, SPEC, TOKEN, gateway_url))
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.failure, PATIENCE)
    await wrong.close()
    assert seen.failure is not None
    assert seen.failure.reason is Reason.IMAGE_FAILED
    assert "no-such-image" in seen.failure.message
    await take_down(driver, attempt)


async def test_a_head_without_room_fails_with_the_schedulers_words(driver: Driver, gateway_url: str) -> None:
    attempt = new_attempt()
    huge = JobSpec(entrypoint="true", head=HeadGroup.model_validate({"cpu": 1_000, "memory": "2Gi"}))
    await driver.create(Launch(attempt, huge, TOKEN, gateway_url))
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.failure, PATIENCE)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.NO_ROOM
    assert "Insufficient cpu" in seen.failure.message
    await take_down(driver, attempt)
