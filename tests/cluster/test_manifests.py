"""A real API server's word on what we create, and on what we may do; no node is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dartjobs.drivers.base import FinalDriverError, Launch
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.client import Client, ForbiddenError
from dartjobs.drivers.kuberay.credentials import credentials
from dartjobs.drivers.kuberay.manifests import manifests
from dartjobs.drivers.kuberay.shapes import Thing
from testbed.api import Api
from tests.cluster.real import Cluster, kubectl
from tests.cluster.rights import granted, kubeconfig_with
from tests.unit.drivers.kuberay.test_manifests import ATTEMPT, CASES

GOLDEN = Path(__file__).parent / "golden" / "rights.txt"
KNOWN = {names.CONFIG_MAPS, names.NETWORK_POLICIES, names.RAY_CLUSTERS, names.SECRETS}
"""Kinds that every cluster of the test bed has; SecurityGroupPolicies are AWS's."""


@pytest.fixture(scope="module")
def token(api: Api, namespace: str) -> Iterator[str]:
    """Of one that may do what `deploy/rbac.yaml` says."""
    with granted(api, namespace) as one:
        yield one


@pytest.mark.parametrize("case", CASES)
async def test_every_golden_manifest_is_taken_field_by_field(cluster: Cluster, namespace: str, case: str) -> None:
    spec, settings, profile = CASES[case]
    launch, here = (
        Launch(ATTEMPT, spec, "token", "http://gateway"),
        settings.model_copy(update={"namespace": namespace}),
    )
    client = Client(credentials(cluster.kubeconfig, None))
    made = manifests(launch, here, profile, installation="home", ray_token="token-of-ray", runner="print()\n")
    for kind, body in made:
        if kind in KNOWN:
            await client.create(kind, namespace, body, dry_run=True)
    await client.close()


async def test_a_field_that_the_crd_does_not_know_is_refused_by_name(cluster: Cluster, namespace: str) -> None:
    client = Client(credentials(cluster.kubeconfig, None))
    body = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "odd"},
        "spec": {"hasNoSuchField": True, "headGroupSpec": {"rayStartParams": {}, "template": {}}},
    }
    with pytest.raises(FinalDriverError, match="hasNoSuchField"):
        await client.create(names.RAY_CLUSTERS, namespace, body, dry_run=True)
    await client.close()


@pytest.mark.usefixtures("token")
def test_the_role_is_no_larger_than_it_must_be(cluster: Cluster, namespace: str) -> None:
    """`kubectl auth can-i --list`, without what everybody may."""
    account = f"--as=system:serviceaccount:{namespace}:sync-of-{namespace}"
    told = kubectl(cluster, "auth", "can-i", "--list", f"--namespace={namespace}", account)
    mine = [line for line in told.splitlines()[1:] if "[/" not in line and not line.startswith("self")]
    assert sorted(" ".join(line.split()) for line in mine) == GOLDEN.read_text().splitlines()


async def test_a_secret_can_be_made_and_not_read(cluster: Cluster, namespace: str, token: str, tmp_path: Path) -> None:
    client = Client(credentials(kubeconfig_with(cluster.kubeconfig, token, tmp_path / "kubeconfig"), None))
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"a": "b"}}
    await client.create(names.SECRETS, namespace, body)
    with pytest.raises(ForbiddenError):
        await client.read(names.SECRETS.path(namespace, "mine"), Thing)
    assert await client.delete(names.SECRETS, namespace, "mine")
    assert not await client.delete(names.SECRETS, namespace, "mine")
    await client.close()
