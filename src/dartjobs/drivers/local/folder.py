"""What is known of a Ray cluster on disk, and whether its keeper lives."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LAST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Record:
    """The part of `cluster.json` that the driver reads again."""

    cluster_uid: str
    head_uid: str
    ports: frozenset[int]
    dashboard_port: int
    ray_token: str
    gpus: frozenset[int]


class Folder:
    """`clusters/<attempt>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether anything of it is there."""
        return self.path.exists()

    @property
    def started(self) -> bool:
        """Whether a head was started, ever."""
        return (self.path / "started").exists()

    @property
    def is_kept(self) -> bool:
        """Whether a keeper holds the lock: only the living do, so no process id has to be trusted."""
        with self._flocked(fcntl.LOCK_SH) as free:  # those who only look are not in each other's way
            return not free

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep every keeper from starting; False if one lives, or somebody looks just now."""
        with self._flocked(fcntl.LOCK_EX) as mine:
            yield mine

    @contextlib.contextmanager
    def _flocked(self, kind: int) -> Iterator[bool]:
        with contextlib.ExitStack() as stack:
            mine = True
            with contextlib.suppress(FileNotFoundError):
                lock = stack.enter_context((self.path / "lock").open("a"))
                try:
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    mine = False
            yield mine

    def record(self) -> Record | None:
        """None before `cluster.json` is whole."""
        plan = _json(self.path / "cluster.json")
        if plan is None:
            return None
        return Record(
            cluster_uid=plan["cluster_uid"],
            head_uid=plan["head_uid"],
            ports=frozenset({plan["port"], plan["dashboard_port"], plan["client_port"]}),
            dashboard_port=plan["dashboard_port"],
            ray_token=plan["ray_token"],
            gpus=frozenset(plan["gpus"]),
        )

    def ended(self) -> dict[str, Any] | None:
        """What the keeper left when nothing of the cluster lived any more."""
        return _json(self.path / "ended.json")

    def record_lost_keeper(self) -> None:
        """Say in the keeper's stead that nothing lives any more."""
        write_private(self.path / "ended.json", json.dumps({"asked": False, "head_exit_code": None}))

    def last_words(self) -> str:
        """The end of what the head printed, for a failure's message."""
        with contextlib.suppress(OSError):
            return (self.path / "head.log").read_text(errors="replace").strip()[-_LAST_WORDS:]
        return ""

    def end(self, patience: float) -> None:
        """Ask a living keeper to end everything; kill one that was asked more than `patience` seconds ago."""
        asked = self.path / "asked"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            if not asked.exists():
                asked.touch()
            overdue = time.time() - asked.stat().st_mtime > patience
            pid = int((self.path / "keeper.pid").read_text())
            if self.is_kept:
                os.kill(pid, signal.SIGKILL if overdue else signal.SIGTERM)

    def remove(self) -> None:
        """Remove every file."""
        if self.exists:
            shutil.rmtree(self.path)


def folders(root: Path) -> Iterator[Folder]:
    """Every Ray cluster of which something is there."""
    if root.is_dir():
        yield from (Folder(path) for path in sorted(root.iterdir()) if path.is_dir())


def write_private(path: Path, text: str) -> None:
    """Write a whole file or nothing, readable by its owner only."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise OSError(msg) from error
    return found
