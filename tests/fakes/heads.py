"""Heads without Ray: small processes that outlive whoever asked for them, and run the real runner.

`python -m tests.fakes.heads ROOT` is a nursery: it forks a head for each folder that it is told of, so that a head
costs a fork and not a new interpreter. It ends when it has had nothing to do for a while. A head holds the lock of its
folder while anything of it may live (`drivers.local.keeper` has the same rules), is told what to do through a FIFO,
and leaves what became of its submissions in files.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from dartjobs.drivers.local.folder import write_private
from dartjobs.drivers.local.keeper import LOCK_PATIENCE, become_subreaper, locked, mark_started
from dartjobs.drivers.runner import runner

PR_SET_PDEATHSIG = 1  # linux/prctl.h
IDLE_SECONDS = 2.0
KILL_AGAIN_SECONDS = 0.05


def tell(fifo: Path, line: str) -> bool:
    """Write a line; False where nobody reads."""
    try:
        pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(pipe, f"{line}\n".encode())  # below PIPE_BUF: whole or not at all
    except OSError:
        return False
    finally:
        os.close(pipe)
    return True


class Ear:
    """A FIFO of one's own, and the signals that wake."""

    def __init__(self, fifo: Path) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(fifo, 0o600)
        self._fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # for writing too: it never ends
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def hear(self, seconds: float) -> list[str]:
        """Lines that were told, at most after so long; none after a signal."""
        ready = select.select([self._fifo, self._wake], [], [], seconds)[0]
        if self._wake in ready:
            os.read(self._wake, 512)
        if self._fifo not in ready:
            return []
        return os.read(self._fifo, 65_536).decode().split("\n")[:-1]

    def close(self) -> None:
        """In a child: it is not spoken to."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for one in (self._fifo, self._wake, self._waker):
            os.close(one)


def reaped() -> dict[int, int]:
    """Wait statuses of children that ended."""
    ends: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ends[pid] = status
    return ends


def below(pid: int) -> list[int]:
    """Every process below this one."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in map(int, (task / "children").read_text().split()):
                    found += [child, *below(child)]
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Head:
    """One head, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
        self._asked = False
        self._drivers: dict[int, str] = {}
        self._stopping: set[str] = set()
        self._kill_at: dict[int, float] = {}
        signal.signal(signal.SIGTERM, lambda *_: self._ask())

    def run(self, ear: Ear) -> None:
        become_subreaper()
        (self._folder / "up").touch()
        while not self._asked:
            now = time.monotonic()
            for pid in [pid for pid, at in self._kill_at.items() if at <= now]:
                send([*below(pid), pid], signal.SIGKILL)
                self._kill_at[pid] = now + KILL_AGAIN_SECONDS
            for line in ear.hear(min(self._kill_at.values(), default=now + 600.0) - now):
                what, _, submission_id = line.partition(" ")
                self._submit(submission_id, ear) if what == "submit" else self._stop(submission_id)
            self._reap()
        while children := below(os.getpid()):
            send(children, signal.SIGKILL)
            ear.hear(KILL_AGAIN_SECONDS)
            self._reap()
        write_private(self._folder / "ended.json", json.dumps({"asked": True, "head_exit_code": 0}))

    def _ask(self) -> None:
        self._asked = True

    def _submit(self, submission_id: str, ear: Ear) -> None:
        if (self._folder / f"{submission_id}.status").exists():
            return
        self._tell(submission_id, "PENDING")
        request = json.loads((self._folder / f"{submission_id}.json").read_text())
        pid = os.fork()
        if pid == 0:
            ear.close()
            os._exit(drive(self._folder, self._plan, request))
        self._drivers[pid] = submission_id
        self._tell(submission_id, "RUNNING")

    def _stop(self, submission_id: str) -> None:
        for pid, running in self._drivers.items():
            if running == submission_id:
                request = json.loads((self._folder / f"{submission_id}.json").read_text())
                self._stopping.add(submission_id)
                send([pid, *below(pid)], signal.SIGTERM)  # in this order, as Ray does: the runner knows of it first
                self._kill_at.setdefault(pid, time.monotonic() + float(request["RAY_JOB_STOP_WAIT_TIME_S"]))

    def _reap(self) -> None:
        for pid, status in reaped().items():
            submission_id = self._drivers.pop(pid, None)
            self._kill_at.pop(pid, None)
            if submission_id is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if submission_id in self._stopping or self._asked:
                self._tell(submission_id, "STOPPED")
            else:
                self._tell(submission_id, "FAILED" if code else "SUCCEEDED", code)

    def _tell(self, submission_id: str, status: str, code: int | None = None) -> None:
        write_private(self._folder / f"{submission_id}.status", json.dumps({"status": status, "exit_code": code}))


def drive(folder: Path, plan: dict[str, Any], request: dict[str, str]) -> int:
    """Be the runner of a submission; dies with the head."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    os.chdir(folder / "cwd")
    os.environ.update(request)
    os.environ.update(
        DARTJOBS_TOKEN_FILE=str(folder / "token"),
        DARTJOBS_GATEWAY_URL=plan["gateway_url"],
        DARTJOBS_HEAD_UID=plan["head_uid"],
        DARTJOBS_SPOOL_DIR=str(folder / "spool"),
    )
    return runner.main()


def give_birth(folder: Path) -> None:
    """Become the head of this folder, unless it has or had one."""
    os.setsid()
    with contextlib.suppress(FileNotFoundError), (folder / "lock").open("w") as lock:
        if locked(lock.fileno(), LOCK_PATIENCE) and mark_started(folder):
            output = os.open(folder / "head.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            Head(folder).run(Ear(folder / "fifo"))


def nurse(root: Path) -> None:
    """Fork heads until nobody has asked for one for a while and none lives."""
    ear, heads, quiet_since = Ear(root / "nursery.fifo"), set[int](), time.monotonic()
    while heads or time.monotonic() - quiet_since < IDLE_SECONDS:
        for name in ear.hear(IDLE_SECONDS):
            quiet_since = time.monotonic()
            pid = os.fork()
            if pid == 0:
                ear.close()
                try:
                    give_birth(root / "clusters" / name)
                finally:
                    os._exit(0)  # the lock is let go of by the end of this process, not before it
            heads.add(pid)
        heads -= set(reaped())


def main(root: Path) -> None:
    """Become a daemon, unless another nursery serves this folder."""
    if os.fork():
        return
    os.setsid()
    with (root / "nursery.lock").open("w") as lock:
        if locked(lock.fileno(), 0.0):
            nurse(root)
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
