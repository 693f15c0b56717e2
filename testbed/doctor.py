"""What a machine needs to run clusters, and how it is got."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.parts import CNI
from testbed.programs import run

_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    f"{CNI}/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
    "umount": "mount",
}
"""Debian's packages, by a program of each."""
_GO = (1, 26)
_FREE_BYTES = 8 * 1024**3
_OVERLAY = "overlay"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    remedy: str | None
    """None where all is well."""


def examine(cache: Path) -> list[Finding]:
    """Everything that `build` and `up` need of this machine; `cache` is where the first writes."""
    return [*_rights(), *_programs(), _go(), *_kernel(), _space(cache)]


def require(cache: Path) -> None:
    """Do nothing on a machine that can run clusters.

    Raises:
        TestbedError: it cannot; every reason with its remedy.
    """
    wrong = [f"{one.what}: {one.remedy}" for one in examine(cache) if one.remedy is not None]
    if wrong:
        raise TestbedError("\n".join(["this machine cannot run clusters:", *wrong]))


def install() -> None:
    """Have apt install those of Debian's packages whose programs are missing.

    Raises:
        TestbedError: we are not root, there is no apt, or it failed.
    """
    missing = sorted({package for program, package in _PACKAGES.items() if shutil.which(program) is None})
    if not missing:
        return
    run(["apt-get", "-qq", "update"])
    run(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing])


def _rights() -> Iterator[Finding]:
    root = os.geteuid() == 0
    yield Finding("root", None if root else "containers, bridges and address translation need it: use sudo")


def _programs() -> Iterator[Finding]:
    for program, package in _PACKAGES.items():
        there = shutil.which(program) is not None
        yield Finding(program, None if there else f"apt-get install {package}, or `python -m testbed cluster install`")


def _go() -> Finding:
    wanted = ".".join(map(str, _GO))
    remedy = f"install Go {wanted} or newer, and put it on the PATH"
    if shutil.which("go") is None:
        return Finding("go", remedy)
    said = run(["go", "env", "GOVERSION"], environment={"GOTOOLCHAIN": "local"}).strip()
    found = re.match(r"go(\d+)\.(\d+)", said)
    new = found is not None and (int(found[1]), int(found[2])) >= _GO
    return Finding(f"go ({said})", None if new else remedy)


def _kernel() -> Iterator[Finding]:
    known = Path("/proc/filesystems").read_text().split()
    yield Finding("overlayfs", None if _OVERLAY in known else "modprobe overlay: containerd keeps images on it")
    cgroups = any(Path("/sys/fs/cgroup").iterdir()) if Path("/sys/fs/cgroup").is_dir() else False
    yield Finding("cgroups", None if cgroups else "mount them on /sys/fs/cgroup")
    rules = ["iptables", "--wait", "-t", "nat", "-S", "PREROUTING"]
    try:
        run(rules)
    except TestbedError as error:
        yield Finding("iptables' nat table", str(error))
    else:
        yield Finding("iptables' nat table", None)


def _space(cache: Path) -> Finding:
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    what = f"{free / 1024**3:.0f} GiB free at {place}"
    return Finding(what, None if free >= _FREE_BYTES else f"{_FREE_BYTES // 1024**3} GiB are needed")
