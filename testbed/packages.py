"""Debian's packages, unpacked into a folder of the user's and run from there: nothing is installed, root is not needed.

apt resolves against an empty status file, so every library comes along, the C library and its loader too: the programs
run the same on any Linux that has apt, whatever its own libraries are.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.programs import run

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_COMPLETE = ".complete"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dartjobs-testbed"
"""Where unpacked packages are kept, a folder a version, by the XDG rules as they were when this was loaded: a test that
gives its programs another cache does not unpack half a gigabyte again."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A server's package in one suite of Debian."""

    name: str
    series: str
    """The version that tests are meant for, such as `10.11`."""
    package: str
    suites: tuple[str, ...]
    """Each an archive and a suite of it, such as `debian bookworm`."""


def unpacked(recipe: Recipe) -> Path:
    """The folder in which the recipe's files lie, as they would under `/`; got from Debian where it is not there yet.

    Raises:
        TestbedError: this machine has no apt, or Debian's servers cannot be reached.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / f"{recipe.name}.lock"):
        return _newest(CACHE, recipe) or _fetch(CACHE, recipe)


def command(root: Path, program: str, *arguments: str) -> list[str]:
    """How to run an unpacked program (`usr/sbin/mysqld`): by the loader and the libraries that came with it."""
    folders = [path for top in ("lib", "usr/lib") for path in sorted(root.glob(f"{top}/*-linux-gnu"))]
    loaders = [loader for folder in folders for loader in sorted(folder.glob("ld-linux*.so.*"))]
    if not loaders:
        msg = f"{root} holds no loader; delete that folder and try again"
        raise TestbedError(msg)
    libraries = ":".join(map(str, folders))
    name = Path(program).name
    return [str(loaders[0]), "--library-path", libraries, "--argv0", name, str(root / program), *arguments]


def _newest(cache: Path, recipe: Recipe) -> Path | None:
    complete = [path.parent for path in cache.glob(f"{recipe.name}-{recipe.series}*/{_COMPLETE}")]
    return max(complete, key=lambda path: path.stat().st_mtime, default=None)


def _fetch(cache: Path, recipe: Recipe) -> Path:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            msg = f"{recipe.name} comes from Debian's packages, and this machine has no {program}: use Debian or Ubuntu"
            raise TestbedError(msg)
    if not _KEYRING.exists():
        msg = f"{_KEYRING} is missing: apt-get install debian-archive-keyring"
        raise TestbedError(msg)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{recipe.name}-") as name:
        work = Path(name)
        archives = _download(work, recipe)
        version = _version_of(archives, recipe)
        if not version.startswith(f"{recipe.series}."):
            msg = f"Debian now has {recipe.package} {version}, not {recipe.series}: change testbed/servers.py"
            raise TestbedError(msg)
        root = work / "root"
        for archive in archives:
            run(["dpkg-deb", "--extract", str(archive), str(root)])
        (root / _COMPLETE).touch()
        final = cache / f"{recipe.name}-{version}"
        shutil.rmtree(final, ignore_errors=True)
        root.rename(final)
        return final


def mirror() -> str:
    """Where this machine's own apt gets Debian from, or what `DARTJOBS_TESTBED_MIRROR` names; ends with a slash.

    Raises:
        TestbedError: its apt knows no Debian.
    """
    given = os.environ.get("DARTJOBS_TESTBED_MIRROR")
    if given:
        return given.rstrip("/") + "/"
    known = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    found = [uri.removesuffix("debian/") for uri in known.split() if uri.endswith("/debian/")]
    if not found:
        msg = "this machine's apt knows no mirror of Debian: name one in DARTJOBS_TESTBED_MIRROR"
        raise TestbedError(msg)
    return found[0]


def _download(work: Path, recipe: Recipe) -> list[Path]:
    for folder in ("lists/partial", "archives/partial", "parts"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    origin = mirror()
    sources = [f"deb [signed-by={_KEYRING}] {origin}{suite} main\n" for suite in recipe.suites]
    (work / "sources.list").write_text("".join(sources))
    options = {
        "Dir::State": work,
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": work / "parts",
        "Dir::Etc::Preferences": work / "parts/none",
        "Dir::Etc::PreferencesParts": work / "parts",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": 5,
        "Debug::NoLocking": 1,
    }
    apt = ["apt-get", *(f"-o{name}={value}" for name, value in options.items()), "-qq"]
    run([*apt, "update"])
    run([*apt, "install", "--yes", "--download-only", recipe.package])
    return sorted((work / "archives").glob("*.deb"))


def _version_of(archives: list[Path], recipe: Recipe) -> str:
    [archive] = [path for path in archives if path.name.startswith(f"{recipe.package}_")]
    shown = run(["dpkg-deb", "--field", str(archive), "Version"]).strip()
    return shown.rpartition(":")[2]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of this machine, by a file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
