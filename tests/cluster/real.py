"""The real cluster of `make test-cluster`: where it is, and a driver for it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dartjobs.drivers.kuberay.credentials import credentials
from dartjobs.drivers.kuberay.driver import KubeRayDriver
from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.drivers.kuberay.settings import KubeRaySettings

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

    def driver(self, image: str | None = None) -> KubeRayDriver:
        """A driver; with an image of its own, if so."""
        settings = KubeRaySettings(kubeconfig=self.kubeconfig, image=image or self.image, unschedulable_seconds=5.0)
        found = credentials(self.kubeconfig, None)
        return KubeRayDriver(settings, found, {"default": ROOT}, installation=INSTALLATION, secret=b"secret")


def the_cluster() -> Cluster:
    """As the environment says: `DARTJOBS_TESTBED_KUBECONFIG`, `…_IMAGE`, `…_BRIDGE`."""
    kubeconfig, image, bridge = (os.environ[f"DARTJOBS_TESTBED_{name}"] for name in ("KUBECONFIG", "IMAGE", "BRIDGE"))
    return Cluster(Path(kubeconfig), image, bridge)


def kubectl(cluster: Cluster, *arguments: str) -> str:
    command = ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
