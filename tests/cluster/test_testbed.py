"""What every other test on a cluster relies on: pods run, find each other by name, reach the API; and nothing stays."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed import clusters
from testbed.api import Api
from testbed.cluster import Cluster
from testbed.image import RAY, RAY_IMAGE
from tests.fakes.polling import until

NAME, PATIENCE = "one", 240.0
ASK_THE_HEAD = f"""
import json, urllib.request
with urllib.request.urlopen("http://{NAME}-head-svc:8265/api/version", timeout=20) as reply:
    print(json.load(reply)["ray_version"])
"""
ASK_THE_API = """
import os, pathlib, ssl, urllib.request
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
trusted = ssl.create_default_context(cafile=account / "ca.crt")
url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}/api/v1/namespaces/default/"
for what in ("pods", "secrets"):
    bearer = {"Authorization": "Bearer " + (account / "token").read_text()}
    try:
        urllib.request.urlopen(urllib.request.Request(url + what, headers=bearer), timeout=20, context=trusted)
    except urllib.error.HTTPError as error:
        print(what, error.code)
"""


@pytest.fixture(scope="module")
def ray_cluster(api: Api, namespace: str) -> Iterator[str]:
    """The path of a RayCluster whose head is ready."""
    folder = f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters"
    api.post(folder, _ray_cluster())
    until(lambda: _state(api, f"{folder}/{NAME}") == "ready", PATIENCE)
    yield f"{folder}/{NAME}"
    if api.answers(f"{folder}/{NAME}"):
        api.delete(f"{folder}/{NAME}")


@pytest.mark.usefixtures("ray_cluster")
class TestARayCluster:
    def test_its_dashboard_answers_through_the_proxy_of_the_api(self, api: Api, namespace: str) -> None:
        service = f"/api/v1/namespaces/{namespace}/services/{NAME}-head-svc:dashboard/proxy"
        assert api.get(f"{service}/api/version")["ray_version"] == RAY

    def test_a_pod_finds_its_head_by_the_name_of_its_service(self, api: Api, namespace: str) -> None:
        assert _printed_by(api, namespace, "asks-the-head", ASK_THE_HEAD) == [RAY]

    def test_it_is_deleted_with_its_pods_and_services(self, api: Api, namespace: str, ray_cluster: str) -> None:
        api.delete(ray_cluster)
        until(lambda: not api.answers(ray_cluster), PATIENCE)
        selector = f"?labelSelector=ray.io/cluster={NAME}"
        for kind in ("pods", "services"):
            assert api.get(f"/api/v1/namespaces/{namespace}/{kind}{selector}")["items"] == []


def test_a_pod_reaches_the_api_and_may_do_nothing_there(api: Api, namespace: str) -> None:
    """403 is an answer: the service account's token was known, and RBAC grants it nothing."""
    assert _printed_by(api, namespace, "asks-the-api", ASK_THE_API) == ["pods 403", "secrets 403"]


def test_clusters_have_addresses_of_their_own(kubeconfigs: tuple[Path, ...]) -> None:
    nodes = [node for path in kubeconfigs for node in Api(path).get("/api/v1/nodes")["items"]]
    addresses = [each["address"] for node in nodes for each in node["status"]["addresses"]]
    assert len(nodes) == len(kubeconfigs)
    assert len(set(addresses)) == len(addresses)


def test_a_cluster_that_is_stopped_with_pods_in_it_leaves_nothing_on_the_machine(tmp_path: Path) -> None:
    before = _machine()
    programs, image = clusters.build(print)
    cluster = Cluster(tmp_path / "short")
    try:
        cluster.start(programs, image, print)
        until(lambda: cluster.api.answers("/api/v1/namespaces/default/serviceaccounts/default"), PATIENCE)
        cluster.api.post("/api/v1/namespaces/default/pods", _pod("stays", "import time; time.sleep(3600)"))
        until(lambda: _phase(cluster.api, "default", "stays") == "Running", PATIENCE)
        assert _machine() != before
    finally:
        cluster.stop()
    assert _machine() == before
    assert not cluster.folder.exists()


def _machine() -> dict[str, set[str]]:
    """What a cluster makes outside its folder; what others make at the same time does not count."""

    def printed(*argv: str) -> list[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    shims = [line for line in printed("ps", "-eo", "args") if "containerd-shim" in line]
    return {
        "links": {line.split(":")[1] for line in printed("ip", "-o", "link")},
        "networks": {path.name for path in Path("/run/netns").glob("*")},
        "rules": set(printed("iptables", "-w", "-S")) | set(printed("iptables", "-w", "-t", "nat", "-S")),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "sockets": {path.name for path in Path("/run/dartjobs-testbed").glob("*")},
        "shims": set(shims),
    }


def _printed_by(api: Api, namespace: str, name: str, program: str) -> list[str]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.post(path, _pod(name, program))
    until(lambda: _phase(api, namespace, name) in {"Succeeded", "Failed"}, PATIENCE)
    return api.call("GET", f"{path}/{name}/log").decode().splitlines()


def _phase(api: Api, namespace: str, name: str) -> str:
    phase: str = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")["status"].get("phase", "")
    return phase


def _state(api: Api, path: str) -> str | None:
    state: str | None = api.get(path).get("status", {}).get("state")
    return state


def _pod(name: str, program: str) -> dict[str, Any]:
    container = {
        "name": "python",
        "image": RAY_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", program],
    }
    return {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container]}}


def _ray_cluster() -> dict[str, Any]:
    """A head and no workers."""
    resources = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    head = {"name": "ray-head", "image": RAY_IMAGE, "imagePullPolicy": "Never", "resources": resources}
    group = {
        "rayStartParams": {"dashboard-host": "0.0.0.0", "object-store-memory": "100000000"},  # noqa: S104 - in its pod
        "template": {"spec": {"restartPolicy": "Never", "containers": [head]}},
    }
    metadata, spec = {"name": NAME}, {"rayVersion": RAY, "headGroupSpec": group}
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": spec}
