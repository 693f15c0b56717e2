"""The real cluster of `make test-cluster`: where it is, and a driver for it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dartjobs.drivers.kuberay.credentials import credentials
from dartjobs.drivers.kuberay.driver import KubeRayDriver
from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from testbed.api import Api
from testbed.clusters import VARIABLE
from testbed.image import RAY_IMAGE

INSTALLATION = "conformance"
ROOT = Profile.model_validate({"runAsUser": 0})
"""The test bed's image has no other user."""


@dataclass(frozen=True)
class Cluster:
    """One of the test bed's."""

    kubeconfig: Path
    image: str
    bridge: str
    """This machine's address, as pods reach it."""

    def driver(self, namespace: str, image: str | None = None, kubeconfig: Path | None = None) -> KubeRayDriver:
        """A driver for a namespace; with an image or with rights of its own, if so."""
        settings = KubeRaySettings(
            kubeconfig=kubeconfig or self.kubeconfig,
            namespace=namespace,
            image=image or self.image,
            unschedulable_seconds=5.0,
        )
        found = credentials(settings.kubeconfig, None)
        return KubeRayDriver(settings, found, {"default": ROOT}, installation=INSTALLATION, secret=b"secret")


def kubeconfigs_of(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """An administrator's for each cluster that the environment names; the test fails where it names none."""
    known = tuple(Path(path) for path in environment.get(VARIABLE, "").split(os.pathsep) if path)
    if not known:
        pytest.fail(f"{VARIABLE} names no cluster: `make test-cluster` starts some, and so does `make testbed`")
    return known


def the_cluster() -> Cluster:
    """The first that the environment names; pods reach this machine where they reach its kubelet."""
    kubeconfig = kubeconfigs_of(os.environ)[0]
    [node] = Api(kubeconfig).get("/api/v1/nodes")["items"]
    [bridge] = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
    return Cluster(kubeconfig, RAY_IMAGE, bridge)


def kubectl(cluster: Cluster, *arguments: str) -> str:
    command = ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def held(cluster: Cluster, namespace: str) -> list[str]:
    """All that jobs have in a namespace, of ours and of KubeRay's."""
    kinds = "rayclusters,pods,services,secrets,configmaps,networkpolicies,serviceaccounts,roles,rolebindings"
    found = (
        kubectl(cluster, "get", kinds, f"--namespace={namespace}", f"--selector={label}", "--output=name").split()
        for label in ("dartjobs.io/attempt", "ray.io/cluster")
    )
    return [one for some in found for one in some]
