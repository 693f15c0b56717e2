"""`python -m testbed cluster …`: real Kubernetes with KubeRay on this machine, for tests."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed import binaries, doctor, image
from testbed.cluster import Cluster
from testbed.errors import TestbedError
from testbed.packages import CACHE
from testbed.parts import Programs

VARIABLE = "DARTJOBS_TEST_KUBECONFIGS"
"""The kubeconfigs of clusters with a node, separated as paths on the PATH are."""


def main(options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> int:
    """Do what the command line says; 0 if it was done.

    Raises:
        TestbedError: it could not be.
    """
    place = folder / "clusters"
    match options.cluster_command:
        case "doctor":
            return _examine(say)
        case "install":
            doctor.install()
        case "build":
            build(say)
        case "up":
            up(place, options.names, say, with_node=not options.without_node)
            return status(place, say)
        case "down":
            down(place, options.names)
        case "status":
            return status(place, say)
        case _:
            say(environment(place).rstrip())
    return 0


def build(say: Callable[[str], None]) -> tuple[Programs, Path]:
    """Programs and image, made where they are not there yet.

    Raises:
        TestbedError: this machine cannot; with every reason.
    """
    doctor.require(CACHE)
    made = {module.name: binaries.built(module, say) for module in binaries.MODULES}
    return Programs(**made), image.archive(say)


def up(place: Path, names: Sequence[str], say: Callable[[str], None], *, with_node: bool = True) -> None:
    """Start every cluster that does not run, with nothing in it.

    Raises:
        TestbedError: one did not start; those that were started before stay up, and nothing is left of it.
    """
    programs, archive = build(say)
    for name in names:
        cluster = Cluster(place / name)
        if cluster.is_alive():
            continue
        began = time.monotonic()
        try:
            cluster.start(programs, archive if with_node else None, say)
        except BaseException:
            cluster.stop()
            raise
        say(f"{name}: up after {time.monotonic() - began:.0f} s")


def down(place: Path, names: Sequence[str] = ()) -> None:
    """End the named clusters that were started from this folder, or all."""
    known = {cluster.name: cluster for cluster in _known(place)}
    unknown = sorted(set(names) - set(known))
    for name in names or known:
        if name in known:
            known[name].stop()
    if unknown:
        msg = f"no cluster was started here by the name of {', '.join(unknown)}"
        raise TestbedError(msg)


def status(place: Path, say: Callable[[str], None]) -> int:
    """A line a cluster; 0 if all of them run."""
    known = _known(place)
    for cluster in known:
        alive = cluster.is_alive()
        ended = [name for name, process in cluster.processes.items() if not process.is_alive()]
        say(f"{cluster.name:10}{'up' if alive else 'broken: ' + ', '.join(ended) + ' ended'}    {cluster.kubeconfig}")
    if not known:
        say("no clusters")
    return 0 if known and all(cluster.is_alive() for cluster in known) else 1


def environment(place: Path) -> str:
    """Lines for a shell's `eval`: the clusters that run and have a node, and a kubectl of their version."""
    paths = [str(one.kubeconfig) for one in _known(place) if one.is_alive() and "kubelet" in one.processes]
    if not paths:
        return ""
    programs = binaries.folder_of(binaries.KUBERNETES)
    return f"export {VARIABLE}='{os.pathsep.join(paths)}'\nexport PATH='{programs}':\"$PATH\"\n"


def _known(place: Path) -> list[Cluster]:
    return [Cluster(path.parent) for path in sorted(place.glob("*/cluster.json"))]


def _examine(say: Callable[[str], None]) -> int:
    findings = doctor.examine(CACHE)
    for one in findings:
        say(f"ok       {one.what}" if one.remedy is None else f"missing  {one.what}: {one.remedy}")
    return 0 if all(one.remedy is None for one in findings) else 1
