"""A container image with Ray in it, made on this machine: Debian by debootstrap, Ray by pip. No registry is asked.

It is packed as a docker-archive (the format of `docker save`: manifest.json, a config for each tag, one layer), under
two tags: Ray's, and the one that containerd takes for the sandbox of a pod.
"""

import hashlib
import io
import json
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from testbed.packages import CACHE, locked, mirror
from testbed.programs import run

RAY = "2.60.0"
RAY_IMAGE = f"localhost/ray:{RAY}"
PAUSE_IMAGE = "localhost/pause:1"
_SUITE, _PYTHON = "bookworm", "3.11"
_RECIPE = 1
"""Raised when what follows here makes another image of the same version."""
_PATH = "PATH=/opt/ray/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PACKAGES = "python3,python3-venv,ca-certificates,procps,wget"
_SECONDS = 1800


def archive(say: Callable[[str], None]) -> Path:
    """The image as a file to import; made where it is not there yet.

    Raises:
        TestbedError: this machine has no debootstrap, we are not root, or Debian or the index of pip cannot be reached.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    final = path_of()
    with locked(CACHE / "image.lock"):
        if not final.exists():
            say(f"making the image {RAY_IMAGE}: about 2 min, once")
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=".image-") as name:
                work = Path(name)
                _fill(work / "rootfs")
                _pack(work, work / "image.tar")
                (work / "image.tar").rename(final)
    return final


def path_of() -> Path:
    """Where the archive is, or will be."""
    return CACHE / f"image-ray-{RAY}-{_SUITE}-{_RECIPE}.tar"


def _fill(root: Path) -> None:
    bootstrap = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root), f"{mirror()}debian"]
    run(bootstrap, seconds=_SECONDS)
    run(["chroot", str(root), "python3", "-m", "venv", "/opt/ray"])
    packages = root / f"opt/ray/lib/python{_PYTHON}/site-packages"
    kind = ["--implementation", "cp", "--python-version", _PYTHON, "--only-binary=:all:"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *kind]
    run([*pip, "--target", str(packages), f"ray[default]=={RAY}"], seconds=_SECONDS)
    for script in (packages / "bin").iterdir():
        shutil.copy2(script, root / "opt/ray/bin" / script.name)
        _adopt(root / "opt/ray/bin" / script.name)
    (root / "home/ray").mkdir()
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)


def _adopt(script: Path) -> None:
    """Have a script of pip's run by the Python of the image, not by the one that installed it."""
    first, separator, rest = script.read_bytes().partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        script.write_bytes(b"#!/opt/ray/bin/python3" + separator + rest)


def _pack(work: Path, target: Path) -> None:
    layer = work / "layer.tar"
    run(["tar", "--numeric-owner", "-C", str(work / "rootfs"), "-cf", str(layer), "."], seconds=_SECONDS)
    with layer.open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    manifest = []
    with tarfile.open(target, "w") as packed:
        for tag, command in ((RAY_IMAGE, ["bash"]), (PAUSE_IMAGE, ["sleep", "infinity"])):
            config = _config(digest, command)
            name = hashlib.sha256(config).hexdigest() + ".json"
            _add(packed, name, config)
            manifest.append({"Config": name, "RepoTags": [tag], "Layers": [layer.name]})
        packed.add(layer, layer.name)
        _add(packed, "manifest.json", json.dumps(manifest).encode())


def _config(digest: str, command: list[str]) -> bytes:
    started = {"Env": [_PATH, "HOME=/home/ray"], "Cmd": command, "WorkingDir": "/home/ray"}
    layers = {"type": "layers", "diff_ids": [digest]}
    return json.dumps(
        {"architecture": _ARCHITECTURES[platform.machine()], "os": "linux", "config": started, "rootfs": layers}
    ).encode()


def _add(packed: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    packed.addfile(entry, io.BytesIO(data))
