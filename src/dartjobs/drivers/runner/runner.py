"""The Ray job's entrypoint: it runs the user's entrypoint as its child and tells the gateway.

Standard library only, Python 3.9 or later: this one file is all that a head needs. What the child writes to stdout
and stderr goes to the gateway as one stream, `driver`, in the order in which a terminal would show it; nothing of it
goes to Ray's own log file, which keeps only its header and what hindered the runner itself.

A gateway that cannot be reached never stops a job: the log waits on disk, bounded, and a line marks what was dropped.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

REFUSED = 97  # the exit code where nothing was started: not this head, or not this runner
CHUNK = 1 << 20  # bytes of log in one request, at most
START_PATIENCE = 5.0  # seconds to wait for the gateway before the entrypoint is started all the same
STOP_PATIENCE = 5.0  # seconds for the last reports of a stop: Ray kills the runner 10 s after the grace period
FIRST_MINUTE = 60.0  # seconds in which news are quick: 100 ms between two requests, later 1 s
CALL_TIMEOUT = 10.0  # seconds for which a call may be silent
PRIVATE = ("RUNNER", "TOKEN_FILE", "GATEWAY_URL", "HEAD_UID", "SPOOL_DIR")
"""`DARTJOBS_…`: variables for the runner that are no business of the entrypoint."""
SIGNALS = {one.value: one.name for one in signal.Signals}
GUARD = 'trap "" TERM INT; read -r group; read -r over; [ -n "$over" ] || kill -9 "-$group"'
"""A shell that kills the child's group when the runner vanishes; Ray's own watcher knows only the runner's group."""


class Settings(NamedTuple):
    """What the submission says (`DARTJOBS_RUNNER`); times in seconds."""

    attempt_id: str
    entrypoint: str | list[str]
    head_uid: str
    grace_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    linger_seconds: float = 6 * 3600.0
    spool_bytes: int = 256 << 20


class RefusedError(Exception):
    """The gateway's answer, an HTTP status, is final: the attempt is over, or not this runner's."""


class Gateway:
    """One kept-alive connection; no proxy is ever used."""

    def __init__(self, url: str, attempt_id: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port)
        self._base = f"{parts.path.rstrip('/')}/v1/attempts/{attempt_id}/"
        self._headers = {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: bytes, timeout: float) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object of the answer; `timeout` in seconds for each step.

        Raises:
            OSError: there was no answer, or none that can be read.
        """
        self._connection.timeout = timeout
        reused = self._connection.sock is not None
        if reused:
            self._connection.sock.settimeout(timeout)
        try:
            return self._post(path, body)
        except ConnectionError:
            if not reused:
                raise
            return self._post(path, body)  # the other side had closed the idle connection

    def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            kind = "application/octet-stream" if path.startswith("logs/") else "application/json"
            self._connection.request("POST", self._base + path, body, {**self._headers, "Content-Type": kind})
            response = self._connection.getresponse()
            data = response.read(65_536)
            if not response.isclosed():
                self._connection.close()
            found = json.loads(data) if data and response.status == http.client.OK else {}
            return response.status, found if isinstance(found, dict) else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise error if isinstance(error, OSError) else ConnectionError(repr(error)) from error


class Spool:
    """A queue of bytes in one file, a ring. When it, or the disk, is full, its oldest bytes are dropped and counted."""

    def __init__(self, folder: str, limit: int) -> None:
        place = folder if Path(folder).is_dir() else None
        self._file = tempfile.TemporaryFile(dir=place, buffering=0)  # noqa: SIM115 - kept for the runner's life
        self._limit = max(limit, CHUNK)
        self._changed = threading.Condition()
        self._head = self._size = self._dropped = 0
        self._closed = self._abandoned = self._mid_line = False

    def add(self, data: bytes) -> None:
        """Add `data`, at most `CHUNK` bytes."""
        with self._changed:
            if self._abandoned:
                return
            excess = self._size + len(data) - self._limit
            if excess > 0:
                self._drop(max(excess, self._limit // 16))
            if not self._store(data):
                self._drop(self._size)
                self._dropped += 0 if self._store(data) else len(data)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody wants it any more: forget what is there and what will come."""
        with self._changed:
            self._abandoned = True
            self._file.truncate(0)

    def take(self, not_before: float, until: float) -> bytes | None:
        """The next bytes, about `CHUNK` at most; b"" if there are none by `until`; None at the end.

        Less than a full chunk is given out only from `not_before` on (both on the monotonic clock).
        """
        with self._changed:
            while not self._closed and self._size < CHUNK:
                some, now = bool(self._size or self._dropped), time.monotonic()
                if some and now >= not_before:
                    break
                if now >= until:
                    return b""
                self._changed.wait((min(not_before, until) if some else until) - now)
            return self._pop() or None

    def _store(self, data: bytes) -> bool:
        at = (self._head + self._size) % self._limit
        room = self._limit - at
        try:
            for part, place in ((data[:room], at), (data[room:], 0)):
                if os.pwrite(self._file.fileno(), part, place) < len(part):
                    return False
        except OSError:
            return False
        self._size += len(data)
        return True

    def _drop(self, count: int) -> None:
        count = min(count, self._size)
        self._head = (self._head + count) % self._limit
        self._size -= count
        self._dropped += count

    def _pop(self) -> bytes:
        data = (b"\n" * self._mid_line + gap(self._dropped)) if self._dropped else b""
        self._dropped = 0
        count = min(CHUNK, self._size)
        first = os.pread(self._file.fileno(), min(count, self._limit - self._head), self._head)
        data += first + os.pread(self._file.fileno(), count - len(first), 0)
        self._head = (self._head + count) % self._limit
        self._size -= count
        if not self._size:
            self._head = 0
            self._file.truncate(0)
        self._mid_line = not data.endswith(b"\n")
        return data


def gap(size: int) -> bytes:
    """The line that stands for bytes that were lost."""
    return b"[dartjobs: %d bytes of log were dropped here: the gateway could not be reached]\n" % size


class Reporter(threading.Thread):
    """All that goes to the gateway, in its order, from one thread: start, log with heartbeats, exit."""

    def __init__(self, settings: Settings, gateway: Gateway, spool: Spool) -> None:
        super().__init__(daemon=True)
        self._settings, self._gateway, self._spool = settings, gateway, spool
        self._began = time.monotonic()
        self._announced = False
        self._offset = 0
        self.exit: dict[str, Any] = {}
        """To be set before the spool is closed."""

    def report_start(self, patience: float | None) -> None:
        """Report the start; with `patience` in seconds, leave it to `run` after that. Raises `RefusedError`."""
        if not self._announced:
            body = {"head_uid": self._settings.head_uid, "pid": os.getpid()}
            self._announced = self._deliver("start", json.dumps(body).encode(), patience) is not None

    def run(self) -> None:
        """Until the exit is reported, or nobody wants to hear of it."""
        try:
            self.report_start(None)
            self._send_log()
            self._deliver("exit", json.dumps({**self.exit, "log_end": self._offset}).encode())
        except RefusedError:
            pass  # the attempt is over: nobody wants the rest, and the entrypoint goes on
        finally:
            self._spool.abandon()

    def _send_log(self) -> None:
        sent, heartbeat = float("-inf"), time.monotonic() + self._settings.heartbeat_seconds
        while True:
            now = time.monotonic()
            if now >= heartbeat:
                self._deliver("heartbeat", b"{}")
                heartbeat = now + self._settings.heartbeat_seconds
            pace = 0.1 if now - self._began < FIRST_MINUTE else 1.0
            chunk = self._spool.take(sent + pace, heartbeat)
            if chunk is None:
                return
            if chunk:
                sent = time.monotonic()
                self._push(chunk)

    def _push(self, chunk: bytes) -> None:
        while chunk:
            answer = self._deliver(f"logs/driver?offset={self._offset}", chunk) or {}
            end = int(answer.get("end", self._offset))
            if end == self._offset:
                time.sleep(1.0)  # an answer, but no progress
            elif end < self._offset:
                chunk = gap(self._offset - end) + chunk
            else:
                chunk = chunk[end - self._offset :]
            self._offset = end

    def _deliver(self, path: str, body: bytes, patience: float | None = None) -> dict[str, Any] | None:
        give_up = None if patience is None else time.monotonic() + patience
        pause = 0.1
        while True:
            try:
                status, answer = self._gateway.post(path, body, CALL_TIMEOUT if patience is None else patience)
            except OSError:
                status, answer = 0, {}
            if http.client.OK <= status < http.client.MULTIPLE_CHOICES:
                return answer
            if http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR and status not in {408, 425, 429}:
                raise RefusedError(status)
            if give_up is not None and time.monotonic() + pause >= give_up:
                return None
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


class Runner:
    """The child's life, in the main thread; signals only set times."""

    def __init__(self, settings: Settings, reporter: Reporter, spool: Spool) -> None:
        self._settings, self._reporter, self._spool = settings, reporter, spool
        self._group: int | None = None
        self._stopping = False
        self._leave_at: float | None = None

    def run(self, environment: dict[str, str]) -> int:
        """Run the entrypoint and report it; the exit code, as a shell shows it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        signal.signal(signal.SIGALRM, lambda *_: self._kill())
        try:
            self._reporter.report_start(START_PATIENCE)
        except RefusedError as refused:
            if refused.args[0] in {http.client.CONFLICT, http.client.GONE}:
                return refuse("another runner has started this attempt, or it is over")
        self._reporter.start()
        code, name, error = self._run_child(environment)
        signal.setitimer(signal.ITIMER_REAL, 0)
        patience = STOP_PATIENCE if self._stopping else self._settings.linger_seconds
        self._leave_at = time.monotonic() + patience
        self._reporter.exit = {"code": code, "signal": name, "stopping": self._stopping, "error": error}
        self._spool.close()
        while self._reporter.is_alive() and time.monotonic() < self._leave_at:
            self._reporter.join(0.2)
        return code

    def _stop(self) -> None:
        """Ray itself signals the whole tree: only the clock is started here."""
        if self._leave_at is not None:
            self._leave_at = min(self._leave_at, time.monotonic() + STOP_PATIENCE)
        elif not self._stopping:
            self._stopping = True
            signal.setitimer(signal.ITIMER_REAL, max(self._settings.grace_seconds, 0.001))

    def _kill(self) -> None:
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def _run_child(self, environment: dict[str, str]) -> tuple[int, str | None, str | None]:
        """Its exit code, the signal that ended it, why it could not be started."""
        if self._stopping:
            return 128 + signal.SIGTERM, signal.SIGTERM.name, None
        entrypoint = self._settings.entrypoint
        argv = ["/bin/sh", "-c", entrypoint] if isinstance(entrypoint, str) else entrypoint
        source, sink = os.pipe()
        over, still = os.pipe()
        try:
            guard = subprocess.Popen(["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True)
            self._group = pid = spawn(argv, sink, environment)
        except (OSError, ValueError) as error:
            # as a shell shows it: 127 for a program that is not there, 126 for one that cannot be run
            code = 127 if isinstance(error, FileNotFoundError) else 126
            return code, None, f"{argv[0][:1_000]}: {getattr(error, 'strerror', None) or error}"
        finally:
            os.close(sink)
        tell(guard, str(pid))
        pump = threading.Thread(target=drain, args=(source, over, self._spool), daemon=True)
        pump.start()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._kill()  # the driver's end ends the job, as a container's main process
        self._group = None
        tell(guard, "over")
        os.close(still)
        pump.join()
        return (code, None, None) if code >= 0 else (128 - code, SIGNALS.get(-code, f"SIG{-code}"), None)


def spawn(argv: list[str], sink: int, environment: dict[str, str]) -> int:
    """Start the program in a process group of its own, with one pipe for both of its outputs."""
    outputs = [(os.POSIX_SPAWN_DUP2, sink, 1), (os.POSIX_SPAWN_DUP2, sink, 2)]
    return os.posix_spawnp(
        argv[0],
        argv,
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), *outputs],
        setpgroup=0,
        setsigmask=(),  # Ray blocks SIGINT
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores these two
    )


def drain(source: int, over: int, spool: Spool) -> None:
    """Spool what is written, until nobody can write any more, or the child is `over` and the pipe is empty."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(over, select.POLLIN)
    left = CHUNK  # what a pipe holds at most: something outside the group may write for ever
    while left > 0:
        ready = dict(poll.poll())
        if source not in ready:
            break
        data = os.read(source, 65_536)
        if not data:
            break
        spool.add(data)
        left -= len(data) if over in ready else 0
    os.close(source)


def tell(guard: subprocess.Popen[bytes], line: str) -> None:
    """Say a line to the guard, if it still lives."""
    if guard.stdin is not None:
        with contextlib.suppress(OSError):
            guard.stdin.write(f"{line}\n".encode())
            guard.stdin.flush()


def refuse(why: str) -> int:
    """Say why in Ray's own log file."""
    sys.stderr.write(f"dartjobs: nothing was started: {why}\n")
    return REFUSED


def main() -> int:
    """Run in the environment that the head and the submission gave."""
    private = {f"DARTJOBS_{name}": os.environ.pop(f"DARTJOBS_{name}", "") for name in PRIVATE}
    runner, token_file, gateway_url, head_uid, spool_dir = private.values()
    settings = Settings(**json.loads(runner))
    if settings.head_uid != head_uid:
        return refuse("this is not the head to which the attempt was submitted")
    try:
        Path(spool_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        token = Path(token_file).read_text("ascii").strip()
    except OSError as error:
        token = ""
        sys.stderr.write(f"dartjobs: the job runs unheard: {error}\n")
    spool = Spool(spool_dir, settings.spool_bytes)
    reporter = Reporter(settings, Gateway(gateway_url, settings.attempt_id, token), spool)
    return Runner(settings, reporter, spool).run(dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())
