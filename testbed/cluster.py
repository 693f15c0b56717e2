"""A Kubernetes cluster of real parts on this machine: one control plane, one node, KubeRay's operator.

Every process is the cluster's own (etcd too), and so are its ports, its bridge and its certificates: clusters know
nothing of each other, and ending one leaves nothing of it. RBAC is on, and each part speaks as the user that Kubernetes
has for it.
"""

import datetime as dt
import json
import secrets
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from testbed import containers, network, parts, pki, settings
from testbed.api import Api
from testbed.errors import TestbedError
from testbed.image import RAY_IMAGE
from testbed.network import Network
from testbed.parts import Place, Programs
from testbed.processes import Process
from testbed.programs import run

_START_SECONDS, _STOP_SECONDS, _IMPORT_SECONDS = 120.0, 20.0, 600.0
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ENDED_FIRST = ("kuberay", "controllers", "scheduler", "kubelet", "coredns", "containerd", "apiserver", "etcd")


class Cluster:
    """One cluster, on a folder that holds all of it."""

    def __init__(self, folder: Path) -> None:
        """The cluster of this folder, whose name is the folder's; started or not."""
        self.folder = folder.resolve()
        self.name = self.folder.name
        self.network: Network | None = None
        self.ports: dict[str, int] = {}
        self.processes: dict[str, Process] = {}
        self._recall()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def api(self) -> Api:
        """Its API, as the administrator."""
        return Api(self.kubeconfig)

    def is_alive(self) -> bool:
        """Whether it was started and all its processes run."""
        return bool(self.processes) and all(process.is_alive() for process in self.processes.values())

    def start(self, programs: Programs, image: Path | None, say: Callable[[str], None]) -> None:
        """Start it with nothing in it, and wait until its API, its custom resources and its node are ready.

        Args:
            programs: what is run.
            image: an archive of images for the node; none for a control plane without a node.
            say: told what takes long.

        Raises:
            TestbedError: a part did not come up; with the end of its log. What runs already is recorded for `stop`.
        """
        self.stop()
        self.folder.mkdir(parents=True)
        (self.folder / "log").mkdir()
        self.network = network.claim()
        self.ports = dict(zip(parts.PORTS, parts.free_ports(len(parts.PORTS)), strict=True))
        self._record()
        place = self._settle(self.network, programs)
        self._spawn("etcd", parts.etcd(place))
        self._spawn("apiserver", parts.apiserver(place))
        self._await(self.api.answers, "apiserver", "answer")
        for name in ("controllers", "scheduler"):
            self._spawn(name, parts.COMMANDS[name](place))
        for path in sorted(programs.kuberay.glob("crds/*.yaml")):
            group, _, plural = path.stem.partition("_")
            self.api.apply(f"{_CRDS}/{plural}.{group}", path.read_bytes())
        for plural in ("rayclusters", "rayjobs", "rayservices"):
            self._await(partial(self.api.answers, f"/apis/ray.io/v1/{plural}"), "apiserver", f"serve {plural}")
        self._spawn("kuberay", parts.kuberay(place))
        if image is not None:
            self._join(place, image, say)

    def stop(self) -> None:
        """End it, and take away everything that it made on this machine; the folder too."""
        for name in sorted(self.processes, key=_ENDED_FIRST.index):
            self.processes[name].end(_STOP_SECONDS)
        if self.network is not None:
            place = self._place(self.network)
            containers.end(place.state, place.socket)
            containers.unmount_below(self.folder, place.runtime)
            containers.forget(self.network.bridge, self._pod_logs)
            network.release(self.network, self.ports["apiserver"])
            shutil.rmtree(place.runtime, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.network, self.ports, self.processes = None, {}, {}

    def _settle(self, net: Network, programs: Programs) -> Place:
        """Write what its parts read."""
        place = self._place(net, programs)
        pki.write(place.pki, ("127.0.0.1", net.gateway, net.kubernetes), dt.datetime.now(dt.UTC))
        tokens = {user: secrets.token_hex(16) for user in settings.users(place.node)}
        _write(place.pki / "tokens.csv", settings.tokens(tokens))
        authority = (place.pki / "ca.crt").read_bytes()
        for user, token in tokens.items():
            path = self.kubeconfig if user == settings.ADMIN else place.config_of(user)
            _write(path, settings.kubeconfig(self.name, self.ports["apiserver"], authority, token))
        return place

    def _join(self, place: Place, image: Path, say: Callable[[str], None]) -> None:
        """Make this machine the cluster's node."""
        place.state.mkdir(parents=True)
        (self.folder / "cni").mkdir()
        toml = settings.containerd(
            self.folder / "containerd", place.state, place.socket, parts.CNI, self.folder / "cni"
        )
        _write(self.folder / "containerd.toml", toml)
        _write(self.folder / "cni/10-bridge.conflist", settings.cni(place.network, self.folder / "leases"))
        kubelet = settings.kubelet(place.pki, place.network, self.ports["kubelet"], place.socket, self._pod_logs)
        _write(self.folder / "kubelet.json", kubelet)
        _write(self.folder / "Corefile", settings.corefile(place.network, self.kubeconfig))
        network.translate(place.network, self.ports["apiserver"])
        self._spawn("coredns", parts.coredns(place))
        self._spawn("containerd", parts.containerd(place))
        self._await(place.socket.exists, "containerd", "listen")
        say(f"{self.name}: importing the image, about 30 s")
        client = ["ctr", "--address", str(place.socket), "--namespace", "k8s.io"]
        run([*client, "images", "import", str(image)], seconds=_IMPORT_SECONDS)
        if RAY_IMAGE not in run([*client, "images", "list", "--quiet"]):
            msg = f"{image} does not hold {RAY_IMAGE}: delete it, and it is made again"
            raise TestbedError(msg)
        self._spawn("kubelet", parts.kubelet(place))
        self._await(lambda: self._is_ready(place.node), "kubelet", "have its node ready")

    def _is_ready(self, node: str) -> bool:
        try:
            conditions = self.api.get(f"/api/v1/nodes/{node}")["status"].get("conditions", [])
        except OSError:
            return False
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _place(self, net: Network, programs: Programs | None = None) -> Place:
        return Place(self.name, self.folder, net, self.ports, programs or Programs(*[Path()] * 4))

    def _spawn(self, name: str, argv: list[str]) -> None:
        self.processes[name] = Process.spawn(argv, self._log(name))
        self._record()

    @property
    def _pod_logs(self) -> Path:
        return self.folder / "pods"

    def _log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    def _await(self, holds: Callable[[], bool], name: str, what: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not holds():
            ended = self.processes[name].wait(0.2)
            if ended or time.monotonic() > deadline:
                said = "\n".join(self._log(name).read_text(errors="replace").splitlines()[-15:])
                msg = f"{self.name}: {name} {'ended' if ended else 'did not ' + what}:\n{said}"
                raise TestbedError(msg)

    def _record(self) -> None:
        known = {name: {"pid": one.pid, "started": one.started} for name, one in self.processes.items()}
        number = None if self.network is None else self.network.number
        _write(self.folder / "cluster.json", json.dumps({"number": number, "ports": self.ports, "processes": known}))

    def _recall(self) -> None:
        try:
            known = json.loads((self.folder / "cluster.json").read_text())
        except FileNotFoundError:
            return
        self.network = Network(known["number"])
        self.ports = known["ports"]
        self.processes = {name: Process(one["pid"], one["started"]) for name, one in known["processes"].items()}


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
