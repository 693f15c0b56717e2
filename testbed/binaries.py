"""Kubernetes, etcd, CoreDNS and KubeRay's operator, built from Go modules that `testbed/modules/*/go.sum` pins.

No registry of images and no download page is needed: the Go module proxy serves the sources. A version that was built
once stays in the user's cache, with the custom resources of KubeRay beside its operator.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.packages import CACHE, locked
from testbed.programs import run

_MODULES = Path(__file__).resolve().parent / "modules"
_SECONDS = 3600
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
_VERSIONED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module and the programs that are built from it."""

    name: str
    path: str
    programs: dict[str, str]
    """Packages by the names that their programs get."""
    minutes: str
    """How long a first build takes on two cores, for those who wait."""

    @property
    def version(self) -> str:
        """As go.mod has it, with its `v`."""
        text = (_MODULES / self.name / "go.mod").read_text()
        found = re.search(rf"^(?:require)?\s+{re.escape(self.path)} (v\S+)", text, re.MULTILINE)
        if found is None:
            msg = f"{_MODULES / self.name}/go.mod does not require {self.path}"
            raise TestbedError(msg)
        return found.group(1)


ETCD = Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}, "1")
KUBERAY = Module(
    "kuberay",
    "github.com/ray-project/kuberay/ray-operator",
    {"kuberay-operator": "github.com/ray-project/kuberay/ray-operator"},
    "2",
)
COREDNS = Module("coredns", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}, "2")
KUBERNETES = Module(
    "kubernetes",
    "k8s.io/kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
    },
    "6",
)
MODULES = (ETCD, KUBERNETES, KUBERAY, COREDNS)


def built(module: Module, say: Callable[[str], None]) -> Path:
    """The folder of a module's programs, and of `crds` for KubeRay; built where they are not there yet.

    Raises:
        TestbedError: there is no Go that is new enough, or the module proxy cannot be reached.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    final = folder_of(module)
    with locked(CACHE / f"{module.name}.lock"):
        if not final.exists():
            say(f"building {module.name} {module.version}: about {module.minutes} min on two cores, once")
            _build(module, final)
    return final


def folder_of(module: Module) -> Path:
    """Where its programs are, or will be: a folder for each version and each set of pinned sums."""
    sums = [(_MODULES / module.name / name).read_bytes() for name in ("go.mod", "go.sum")]
    digest = hashlib.sha256(b"".join(sums)).hexdigest()[:8]
    return CACHE / f"{module.name}-{module.version.removeprefix('v')}-{digest}"


def _build(module: Module, final: Path) -> None:
    """From a copy of the module, which the repository may take away under a build, as `git rebase` does."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{module.name}-") as name:
        target = Path(name) / "bin"
        target.mkdir()
        source = shutil.copytree(_MODULES / module.name, Path(name) / "module")
        for program, package in module.programs.items():
            flags = ["-trimpath", "-ldflags", _linked(module), "-o", str(target / program)]
            run(["go", "build", *flags, package], seconds=_SECONDS, environment=_ENVIRONMENT, folder=source)
        if module is KUBERAY:
            listed = ["go", "list", "-m", "-f", "{{.Dir}}", module.path]
            root = Path(run(listed, environment=_ENVIRONMENT, folder=source).strip())
            shutil.copytree(root / "config/crd/bases", target / "crds", copy_function=shutil.copyfile)
        target.rename(final)


def _linked(module: Module) -> str:
    """No symbols; and Kubernetes learns its version, which clients decide by."""
    if module is not KUBERNETES:
        return "-s -w"
    major, minor, _ = module.version.removeprefix("v").split(".")
    known = {"gitVersion": module.version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {place}.{name}={value}" for place in _VERSIONED for name, value in known.items())])
