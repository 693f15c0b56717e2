"""Processes that are known by more than their id, which the kernel gives to others later."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STARTED = 19
"""Its place in /proc/PID/stat behind the name: proc_pid_stat(5), field 22."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine, and of no other by the same id."""

    pid: int
    started: str
    """When, in clock ticks since boot, as /proc/PID/stat has it."""

    @classmethod
    def spawn(cls, argv: list[str], log: Path) -> "Process":
        """Start a program in a session of its own, its output appended to `log`."""
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsid=True)
        return cls(pid, _fields(pid)[_STARTED])

    def is_alive(self) -> bool:
        """Whether it runs: neither ended, nor ended and not yet reaped."""
        return not self.wait(0)

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens if it has ended, whoever has its id now."""
        with self._opened() as handle:
            if handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of all its threads, and reap it if it is our child; False if it still runs."""
        with self._opened() as handle:
            if handle is not None:
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                if not poll.poll(seconds * 1_000):
                    return False
        with contextlib.suppress(ChildProcessError):  # somebody else's, or reaped before
            os.waitpid(self.pid, os.WNOHANG)
        return True

    def end(self, seconds: float) -> None:
        """Ask it to end, and kill it where it has not in time."""
        self.send(signal.SIGTERM)
        if not self.wait(seconds):
            self.send(signal.SIGKILL)
            self.wait(seconds)

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:  # the id is looked at after it was pinned: it cannot change owners any more
            fields = _fields(self.pid)
            yield handle if fields and fields[_STARTED] == self.started else None
        finally:
            os.close(handle)


def _fields(pid: int) -> list[str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat.rpartition(")")[2].split()
