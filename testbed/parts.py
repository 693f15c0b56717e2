"""How each program of a cluster is run."""

import shutil
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from testbed.network import Network

CNI = "/usr/lib/cni"
"""Where Debian's containernetworking-plugins are."""
PORTS = ("etcd", "peers", "apiserver", "controllers", "scheduler", "kubelet", "metrics", "probes")
_RUN = Path("/run/dartjobs-testbed")
"""Sockets must have short paths (unix(7): 108 bytes), wherever the test bed's folder is."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Folders of what was built."""

    etcd: Path
    kubernetes: Path
    kuberay: Path
    coredns: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cluster is: its folders, its addresses, its programs."""

    name: str
    folder: Path
    network: Network
    ports: dict[str, int]
    programs: Programs

    @property
    def node(self) -> str:
        """The node's name."""
        return f"{self.name}-node"

    @property
    def pki(self) -> Path:
        """Its certificates, keys and tokens."""
        return self.folder / "pki"

    @property
    def runtime(self) -> Path:
        """Its folder below /run."""
        return _RUN / self.network.bridge

    @property
    def state(self) -> Path:
        """The state folder of containerd."""
        return self.runtime / "containerd"

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.runtime / "containerd.sock"

    def config_of(self, user: str) -> Path:
        """The kubeconfig of one of Kubernetes's own users, such as `system:kube-scheduler`."""
        return self.pki / f"{user.replace(':', '-')}.kubeconfig"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in held]


def etcd(place: Place) -> list[str]:
    """A killed etcd loses nothing without syncing; only the loss of the machine would show."""
    clients = f"http://127.0.0.1:{place.ports['etcd']}"
    peers = f"http://127.0.0.1:{place.ports['peers']}"
    served = [f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}", f"--listen-peer-urls={peers}"]
    alone = [f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}"]
    data = [f"--data-dir={place.folder}/etcd", "--unsafe-no-fsync", "--log-level=error"]
    return [str(place.programs.etcd / "etcd"), *served, *alone, *data]


def apiserver(place: Place) -> list[str]:
    """Reached at 127.0.0.1 by tests and at the bridge by pods; it reaches the kubelet by the bridge's address."""
    keys = place.pki
    return [
        str(place.programs.kubernetes / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{place.ports['etcd']}",
        f"--secure-port={place.ports['apiserver']}",
        f"--advertise-address={place.network.gateway}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={keys}/server.crt",
        f"--tls-private-key-file={keys}/server.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/client.crt",
        f"--kubelet-client-key={keys}/client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={keys}/sa.key",
        f"--service-account-signing-key-file={keys}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={place.network.services}",
        f"--token-auth-file={keys}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--cert-dir={place.folder}/apiserver",
    ]


def controllers(place: Place) -> list[str]:
    """Each controller with a service account of its own, as in production."""
    return [
        str(place.programs.kubernetes / "kube-controller-manager"),
        *_as(place, "system:kube-controller-manager"),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={place.pki}/sa.key",
        f"--root-ca-file={place.pki}/ca.crt",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={place.ports['controllers']}",
        f"--cert-dir={place.folder}/controllers",
    ]


def scheduler(place: Place) -> list[str]:
    """With no election: there is one."""
    return [
        str(place.programs.kubernetes / "kube-scheduler"),
        *_as(place, "system:kube-scheduler"),
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={place.ports['scheduler']}",
        f"--cert-dir={place.folder}/scheduler",
    ]


def kuberay(place: Place) -> list[str]:
    """On the host, where heads are reached by the API server's proxy only; ten clusters are reconciled at once."""
    return [
        str(place.programs.kuberay / "kuberay-operator"),
        f"--kubeconfig={place.folder}/kubeconfig",
        "--enable-leader-election=false",
        "--use-kubernetes-proxy",
        "--reconcile-concurrency=10",
        f"--metrics-addr=127.0.0.1:{place.ports['metrics']}",
        f"--health-probe-bind-address=127.0.0.1:{place.ports['probes']}",
    ]


def containerd(place: Place) -> list[str]:
    """Debian's."""
    return [shutil.which("containerd") or "containerd", "--config", f"{place.folder}/containerd.toml"]


def kubelet(place: Place) -> list[str]:
    """The node is known by its name and the bridge's address."""
    user = f"system:node:{place.node}"
    return [
        str(place.programs.kubernetes / "kubelet"),
        f"--kubeconfig={place.config_of(user)}",
        f"--config={place.folder}/kubelet.json",
        f"--root-dir={place.folder}/kubelet",
        f"--hostname-override={place.node}",
        f"--node-ip={place.network.gateway}",
        f"--cert-dir={place.folder}/kubelet-pki",
    ]


def coredns(place: Place) -> list[str]:
    """Pods find heads by their services' names."""
    return [str(place.programs.coredns / "coredns"), "-conf", f"{place.folder}/Corefile"]


COMMANDS: dict[str, Callable[[Place], list[str]]] = {"controllers": controllers, "scheduler": scheduler}


def _as(place: Place, user: str) -> Sequence[str]:
    config = place.config_of(user)
    return [f"--{kind}kubeconfig={config}" for kind in ("", "authentication-", "authorization-")]
