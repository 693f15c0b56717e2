"""Keeps one Ray cluster: starts its nodes once, and ends them all together.

A program of its own (`python keeper.py FOLDER`) that becomes a daemon, so that a Ray cluster survives the platform. It
holds an exclusive flock on `FOLDER/lock` while anything of the cluster may live, and everything started here is below
it: as a child subreaper it inherits what daemonizes. A head is started once: `FOLDER/started` forbids a second.

It exits when the head does, or on SIGTERM, after every descendant is gone and the session folder is removed; then
`FOLDER/ended.json` says how it went. Nothing but psutil and the standard library is imported: it must start quickly.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

TAG = "DARTJOBS_CLUSTER"
"""The variable that every process of a Ray cluster has in its environment, with the attempt's id."""
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PATIENCE = 1.0
"""Seconds between SIGTERM and SIGKILL for what is left of a Ray cluster; its driver is over by then."""
LOCK_PATIENCE = 2.0
"""Seconds in which others may look at the lock: a look holds it for an instant."""


def main(folder: Path) -> int:
    """Become a daemon; this process exits with 0 once the daemon holds the lock or is not needed."""
    ready, done = os.pipe()
    if os.fork():
        os.close(done)
        return 0 if os.read(ready, 1) else 1
    os.setsid()
    with (folder / "lock").open("w") as lock:
        if locked(lock.fileno(), LOCK_PATIENCE) and mark_started(folder):
            os.write(done, b"1")
            Keeper(folder).run()
            os._exit(0)  # the lock is let go of by the end of this process, not before it
        os.write(done, b"1")
    return 0


def locked(lock: int, patience: float) -> bool:
    """Take the lock, unless somebody holds it for longer than `patience` seconds."""
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)
        else:
            return True


def mark_started(folder: Path) -> bool:
    """Leave the mark that forbids a second head; False if it is there."""
    (folder / "keeper.pid").write_text(str(os.getpid()))
    try:
        (folder / "started").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Keeper:
    """The daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plan: dict[str, Any] = json.loads((folder / "cluster.json").read_text())
        self._asked = False
        self._started: list[subprocess.Popen[bytes]] = []
        """Held for ever: a `Popen` that is thrown away reaps its process, and its end would be lost."""
        self._ends: dict[int, int] = {}
        """Wait statuses by process id, of all that ended."""
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._ask())

    def run(self) -> None:
        """Keep the Ray cluster from its start to its end."""
        become_subreaper()
        head = self._start("head", self._plan["head"])
        workers = list(enumerate(self._plan["workers"]))
        while not self._asked and head not in self._ends:
            if workers and answers(self._plan["port"]):
                for number, worker in workers:
                    self._start(f"worker-{number}", worker)
                workers = []
            self._wait(0.2 if workers else 30.0)
        self._end_all()
        shutil.rmtree(self._plan["temp_dir"], ignore_errors=True)
        self._record(head)

    def _ask(self) -> None:
        self._asked = True

    def _start(self, name: str, node: dict[str, Any]) -> int:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@"', "sh", *node["command"]],  # what cannot be started is told in the log
                env=os.environ | node["environment"],
                cwd=self._plan["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process.pid

    def _wait(self, seconds: float) -> None:
        """Until a signal comes; whoever ended is reaped."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 512)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                self._ends[pid] = status

    def _end_all(self) -> None:
        kill_at = time.monotonic() + PATIENCE
        number = signal.SIGTERM
        while below := psutil.Process().children(recursive=True):
            if time.monotonic() > kill_at:
                number = signal.SIGKILL
            send(below, number)
            self._wait(0.2)

    def _record(self, head: int) -> None:
        status = self._ends.get(head)
        code = None if status is None else os.waitstatus_to_exitcode(status)
        fresh = self._folder / "ended.json.new"
        fresh.write_text(json.dumps({"asked": self._asked, "head_exit_code": code}))
        fresh.rename(self._folder / "ended.json")


def become_subreaper() -> None:
    """Inherit orphaned descendants (Linux only: elsewhere they are found by their tag)."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def answers(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that still are who they were."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
