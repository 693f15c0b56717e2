"""containerd's containers: what its processes leave behind when they have ended, and how all of it is taken away.

A shim outlives containerd, so that containers outlive an upgrade of it. What there is stands in the bundles of the
state folder: `init.pid`, `config.json` (the OCI runtime specification) and the `address` of the shim's socket.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.errors import TestbedError
from testbed.programs import run

_BUNDLES = "io.containerd.runtime.v2.task/k8s.io/*"
_RESULTS = Path("/var/lib/cni/results")
_LINKS = Path("/var/log/containers")
_CGROUPS = Path("/sys/fs/cgroup")
_MOUNT_POINT = 4
"""Its place in /proc/self/mountinfo: proc_pid_mountinfo(5)."""
_SECONDS = 30.0


def end(state: Path, socket: Path) -> None:
    """Kill every container of a containerd that has ended, with its shim, network and cgroups.

    Args:
        state: containerd's state folder.
        socket: the one it listened on, by which its shims are told from others.

    Raises:
        TestbedError: a process does not end.
    """
    bundles = [path for path in state.glob(_BUNDLES) if path.is_dir()]
    specifications = [_specification(bundle) for bundle in bundles]
    pids = [*_shims(socket), *(pid for bundle in bundles for pid in _first(bundle))]
    handles = list(_opened(pids))
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for bundle in bundles:
        _remove_socket(bundle)
    for specification in specifications:
        _remove_cgroups(specification)
    for namespace in {name for one in specifications for name in _networks(one)}:
        _unmount(namespace)
        namespace.unlink(missing_ok=True)
    for handle in handles:
        os.close(handle)


def unmount_below(*folders: Path) -> None:
    """Take away every mount under these folders, the last one first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[_MOUNT_POINT].replace("\\040", " ")) for line in lines]
    for point in reversed(points):
        if any(point.is_relative_to(folder) for folder in folders):
            _unmount(point)


def forget(network: str, logs: Path) -> None:
    """Remove what is kept about ended containers: libcni's results, and the links of a kubelet to its logs."""
    for result in _RESULTS.glob(f"{network}-*"):
        result.unlink(missing_ok=True)
    for link in _LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(logs):
            link.unlink(missing_ok=True)


def _specification(bundle: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known


def _first(bundle: Path) -> Iterator[int]:
    """The container's first process, whose end is the end of all in its PID namespace; by its cgroup it is the one."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((bundle / "init.pid").read_text())
        if bundle.name in Path(f"/proc/{pid}/cgroup").read_text():
            yield pid


def _shims(socket: Path) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (folder / "cmdline").read_bytes().split(b"\0")
            if b"containerd-shim" in argv[0] and str(socket).encode() in argv:
                yield int(folder.name)


def _opened(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            yield os.pidfd_open(pid)


def _networks(specification: dict[str, Any]) -> Iterator[Path]:
    for one in specification.get("linux", {}).get("namespaces", []):
        if one["type"] == "network" and "path" in one and Path(one["path"]).parent.name == "netns":
            yield Path(one["path"])


def _remove_socket(bundle: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        Path((bundle / "address").read_text().strip().removeprefix("unix://")).unlink()


def _remove_cgroups(specification: dict[str, Any]) -> None:
    """In every hierarchy of cgroup v1, or in the one of v2; a cgroup goes when its last process has gone."""
    path = specification.get("linux", {}).get("cgroupsPath", "").lstrip("/")
    if not path:
        return
    deadline = time.monotonic() + _SECONDS
    for top in [_CGROUPS / path, *(hierarchy / path for hierarchy in _CGROUPS.iterdir())]:
        below = sorted((one for one in top.rglob("*") if one.is_dir()), reverse=True) if top.is_dir() else []
        for folder in [*below, top]:
            _remove_folder(folder, deadline)


def _remove_folder(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if time.monotonic() > deadline:
                msg = f"processes in {folder} do not end: {error}"
                raise TestbedError(msg) from error
            time.sleep(0.05)
        else:
            return


def _unmount(point: Path) -> None:
    with contextlib.suppress(TestbedError, subprocess.SubprocessError):
        run(["umount", "--lazy", str(point)])
