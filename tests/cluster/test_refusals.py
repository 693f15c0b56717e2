"""What an API server refuses, in its real words."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dartjobs.drivers.base import FinalDriverError, Launch
from dartjobs.drivers.kuberay.driver import KubeRayDriver
from dartjobs.drivers.kuberay.names import RAY_CLUSTERS
from testbed.api import Api
from tests.cluster.real import Cluster
from tests.conformance.driver import SPEC, new_attempt
from tests.fakes.gateway import TOKEN
from tests.fakes.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
GATEWAY = "http://127.0.0.1:1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(cluster: Cluster, namespace: str) -> AsyncIterator[KubeRayDriver]:
    one = cluster.driver(namespace)
    yield one
    await one.close()


def policy(name: str, namespace: str) -> tuple[dict[str, object], dict[str, object]]:
    """No RayClusters in that namespace, and its binding."""
    metadata = {"name": name}
    rule = {"apiGroups": ["ray.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["rayclusters"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "false", "message": "no jobs on Fridays"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return {"metadata": metadata, "spec": spec}, {"metadata": metadata, "spec": binding}


async def test_a_ray_cluster_that_somebody_deletes_is_seen_as_gone(
    driver: KubeRayDriver, api: Api, namespace: str
) -> None:
    attempt = new_attempt()
    await driver.create(Launch(attempt, SPEC, TOKEN, GATEWAY))
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.cluster_uid)
    await driver.delete(attempt, cluster_uid="another")
    await asyncio.to_thread(api.delete, RAY_CLUSTERS.path(namespace, attempt.id))
    gone = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.cluster_uid is None)
    assert seen.leftovers
    assert gone.leftovers

    async def emptied() -> bool:
        await driver.delete(attempt)
        return not (await driver.observe(attempt, ask_ray=False)).leftovers

    await eventually(emptied, lambda is_so: is_so)


async def test_a_denied_ray_cluster_is_final_in_the_words_of_the_policy(
    driver: KubeRayDriver, api: Api, namespace: str
) -> None:
    made, binding = policy(f"deny-{namespace}", namespace)
    api.post(POLICIES, made)
    api.post(BINDINGS, binding)

    async def refusal() -> str:
        attempt = new_attempt()
        try:
            await driver.create(Launch(attempt, SPEC, TOKEN, GATEWAY))
        except FinalDriverError as error:
            return str(error)
        finally:
            await driver.delete(attempt)
        return ""

    try:
        words = await eventually(refusal, bool)
    finally:
        api.delete(f"{BINDINGS}/deny-{namespace}")
        api.delete(f"{POLICIES}/deny-{namespace}")
    assert "no jobs on Fridays" in words
