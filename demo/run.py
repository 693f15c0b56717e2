"""`make demo`: a platform of its own in `.demo/`, a real hyper-parameter search on it, and nothing left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".demo"
TEMP = Path("/tmp")  # noqa: S108 - where Ray's sockets lie, in a folder for each cluster
DARTJOBS = str(Path(sys.executable).with_name("dartjobs"))


def main() -> int:
    """0 if the search ran, its score is in its log, and nothing is left."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if users_of(DATA):
        sys.exit(f"An earlier demo is still running: processes {users_of(DATA)}. End them first.")
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(mode=0o700)
    temp_before = set(TEMP.glob("dj-*"))
    with platform():
        score = search()
    until(lambda: not users_of(DATA), seconds=20)
    left = [f"process {pid}" for pid in users_of(DATA)]
    left += [str(folder) for folder in set(TEMP.glob("dj-*")) - temp_before if not users_of(folder)]
    print(f"left behind: {', '.join(left) or 'no process, no temporary folder'}")
    print(f"search: {score or 'FAILED'}")
    return 1 if left or not score else 0


@contextlib.contextmanager
def platform() -> Iterator[None]:
    """`dartjobs up`, until its jobs are gone; in a session of its own, so that Ctrl-C reaches us first."""
    with (DATA / "up.log").open("w") as log:
        command = [DARTJOBS, "up", "--data-dir", str(DATA), "--port", "0"]
        up = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        url = DATA / "url"
        if not until(lambda: url.exists() or up.poll() is not None, seconds=60) or up.poll() is not None:
            sys.exit("The platform did not start:\n" + (DATA / "up.log").read_text())
        os.environ["DARTJOBS_URL"] = url.read_text().strip()
        print(f"platform: {os.environ['DARTJOBS_URL']}, in {DATA.relative_to(ROOT)}/")
        try:
            yield
        finally:
            for job in dartjobs("list", "-o", "name").split():
                dartjobs("stop", job)
            until(all_gone, seconds=60)
    finally:
        up.terminate()
        print(f"platform: stopped, exit code {up.wait(60)}", flush=True)


def search() -> str:
    """Submit the search, follow it, and show its history; the score as its log has it, empty if it failed."""
    command = ["submit", "--name", "search", "--cpu", "2", "--working-dir", "examples/search", "--follow"]
    command += ["--", "python", "train.py"]
    print("\n$ dartjobs", *command, flush=True)
    followed = subprocess.run([DARTJOBS, *command], cwd=ROOT, check=False)
    until(all_gone, seconds=60)
    job = dartjobs("list", "-o", "name").strip()
    print(f"\n$ dartjobs history {job}\n{dartjobs('history', job)}", flush=True)
    scores = [line for line in dartjobs("logs", job).splitlines() if line.startswith("best score:")]
    return scores[-1] if scores and followed.returncode == 0 else ""


def dartjobs(*arguments: str) -> str:
    """What a command writes to stdout; empty where it fails."""
    return subprocess.run([DARTJOBS, *arguments], stdout=subprocess.PIPE, text=True, check=False).stdout


def all_gone() -> bool:
    """Whether nothing of any job is left."""
    jobs = json.loads(dartjobs("list", "-o", "json") or "[]")
    return all(job["resource_state"] == "TERMINATED" for job in jobs)


def until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Look until it holds, at most so long."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return holds


def users_of(folder: Path) -> list[int]:
    """Every process whose command line or environment names the folder: the platform, its keepers, Ray, the driver."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if str(folder) in seen_of(path)]


def seen_of(process: Path) -> str:
    """Command line and environment; empty for a process that has ended or is not ours to look at."""
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_text(errors="replace") + (process / "environ").read_text(errors="replace")
    return ""


if __name__ == "__main__":
    sys.exit(main())
