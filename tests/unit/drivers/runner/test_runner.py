"""The runner as a real process, and a real HTTP gateway."""

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dartjobs.drivers.runner import RUNNER
from tests.fakes.gateway import TOKEN, FakeGateway, Fault
from tests.fakes.polling import until

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture
def run(gateway: FakeGateway, tmp_path: Path) -> Iterator[Run]:
    (tmp_path / "token").write_text(TOKEN)
    started: list[subprocess.Popen[bytes]] = []

    def start(
        entrypoint: str | list[str], *, head_uid: str = "head", largest_file: int | None = None, **settings: float
    ) -> subprocess.Popen[bytes]:
        given = {"attempt_id": "job-1", "entrypoint": entrypoint, "head_uid": "head", **settings}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DARTJOBS_")}
        environment = inherited | {
            "DARTJOBS_RUNNER": json.dumps(given),
            "DARTJOBS_HEAD_UID": head_uid,
            "DARTJOBS_TOKEN_FILE": str(tmp_path / "token"),
            "DARTJOBS_GATEWAY_URL": gateway.url,
            "DARTJOBS_SPOOL_DIR": str(tmp_path / "spool"),
            "DARTJOBS_JOB_ID": "job",
            "http_proxy": "http://127.0.0.1:1",
        }
        limit = [] if largest_file is None else ["prlimit", f"--fsize={largest_file}"]
        command = [*limit, sys.executable, str(RUNNER)]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def stop_as_ray_does(process: subprocess.Popen[bytes]) -> None:
    runner = psutil.Process(process.pid)
    for one in [runner, *runner.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()


def test_an_exit_code_is_passed_on_and_reported(run: Run, gateway: FakeGateway) -> None:
    assert finish(run("echo out; echo err >&2; echo out; exit 3")) == (3, b"", b"")
    assert gateway.log == b"out\nerr\nout\n"
    assert gateway.exits == [{"code": 3, "signal": None, "stopping": False, "error": None, "log_end": 12}]
    assert gateway.starts[0]["head_uid"] == "head"


def test_a_list_is_run_without_a_shell(run: Run, gateway: FakeGateway) -> None:
    assert finish(run(["printf", "%s\n", "$HOME && exit 1"]))[0] == 0
    assert gateway.log == b"$HOME && exit 1\n"


def test_the_entrypoint_sees_its_job_and_nothing_of_the_runner(run: Run, gateway: FakeGateway) -> None:
    finish(
        run("env | grep ^DARTJOBS_ | cut -d= -f1; ls -l /dev/fd | wc -l; cat; ps -o pgid= -p $$ | tr -d ' '; echo $$")
    )
    names, _fds, group, pid = gateway.log.decode().splitlines()
    assert names == "DARTJOBS_JOB_ID"
    assert group == pid


def test_a_signal_that_kills_it_is_reported_as_a_shell_would(run: Run, gateway: FakeGateway) -> None:
    assert finish(run("kill -SEGV $$"))[0] == 128 + signal.SIGSEGV
    assert gateway.exits[0]["code"] == 128 + signal.SIGSEGV
    assert gateway.exits[0]["signal"] == "SIGSEGV"


@pytest.mark.parametrize(
    ("entrypoint", "code", "words"),
    [
        (["no-such-program"], 127, "no-such-program: No such file or directory"),
        (["/dev/null"], 126, "/dev/null: Permission denied"),
        (["echo", "\0"], 126, "null"),
    ],
)
def test_what_cannot_be_started_says_so(
    run: Run, gateway: FakeGateway, entrypoint: list[str], code: int, words: str
) -> None:
    assert finish(run(entrypoint))[0] == code
    assert gateway.exits[0]["code"] == code
    assert words in gateway.exits[0]["error"]


def test_a_wrong_head_runs_nothing(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    code, _, stderr = finish(run(f"touch {tmp_path}/ran", head_uid="another"))
    assert code == 97
    assert b"not the head" in stderr
    assert not gateway.starts
    assert not (tmp_path / "ran").exists()


def test_a_second_start_runs_nothing(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    assert finish(run("true"))[0] == 0
    assert finish(run(f"touch {tmp_path}/ran"))[0] == 97
    assert not (tmp_path / "ran").exists()
    assert len(gateway.exits) == 1


def test_a_start_whose_reply_was_lost_is_the_same_start(run: Run, gateway: FakeGateway) -> None:
    gateway.faults["start"].append(Fault.DROP_REPLY)
    assert finish(run("echo once"))[0] == 0
    assert len(gateway.starts) == 2
    assert gateway.log == b"once\n"


def test_an_entrypoint_that_heeds_sigterm_ends_as_it_likes(run: Run, gateway: FakeGateway) -> None:
    process = run("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done", grace_seconds=60)
    gateway.wait_for(lambda: gateway.log == b"up\n")
    stop_as_ray_does(process)
    assert finish(process)[0] == 7
    assert gateway.log.endswith(b"bye\n")
    log_end = len(gateway.log)
    assert gateway.exits == [{"code": 7, "signal": None, "stopping": True, "error": None, "log_end": log_end}]


def test_an_entrypoint_that_ignores_sigterm_is_killed_after_the_grace_period(run: Run, gateway: FakeGateway) -> None:
    process = run("trap '' TERM; echo up; while :; do sleep 0.05; done", grace_seconds=0.5)
    gateway.wait_for(lambda: gateway.log == b"up\n")
    stop_as_ray_does(process)
    assert finish(process)[0] == 128 + signal.SIGKILL
    assert gateway.exits[0]["signal"] == "SIGKILL"
    assert gateway.exits[0]["stopping"] is True


def test_a_stop_before_the_start_runs_nothing(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.statuses["start"] = 503
    process = run(f"touch {tmp_path}/ran")
    gateway.wait_for(lambda: gateway.requests["start"])
    process.terminate()
    del gateway.statuses["start"]
    assert finish(process)[0] == 128 + signal.SIGTERM
    assert gateway.exits[0]["stopping"] is True
    assert not (tmp_path / "ran").exists()


def test_the_signal_is_not_forwarded(run: Run, gateway: FakeGateway) -> None:
    process = run("trap 'echo got it' TERM; echo up; while :; do sleep 0.05; done", grace_seconds=0.5)
    gateway.wait_for(lambda: gateway.log == b"up\n")
    process.terminate()
    finish(process)
    assert gateway.log == b"up\n"


def test_a_large_log_arrives_byte_by_byte(run: Run, gateway: FakeGateway) -> None:
    size = 50_000_000
    code = f"""
import os, random
data = random.Random(1).randbytes({size})
for i in range(0, {size}, 9973): os.write(1, data[i : i + 9973])
"""
    assert finish(run([sys.executable, "-c", code]))[0] == 0
    assert hashlib.sha256(gateway.log).digest() == hashlib.sha256(random.Random(1).randbytes(size)).digest()
    assert max(length for _, length in gateway.pushes) <= 1 << 20
    assert gateway.exits[0]["log_end"] == size


def test_breaks_in_the_middle_lose_and_double_nothing(run: Run, gateway: FakeGateway) -> None:
    gateway.faults["logs"].extend([Fault.DROP_REPLY, Fault.HALF, Fault.DROP_REQUEST, Fault.DROP_REQUEST, Fault.HALF])
    gateway.faults["exit"].extend([Fault.DROP_REPLY])
    finish(run("for i in $(seq 1000); do echo line $i; done"))
    assert gateway.log.decode() == "".join(f"line {i}\n" for i in range(1, 1001))
    assert gateway.exits[0]["log_end"] == len(gateway.log)


def test_first_bytes_go_at_once_and_later_ones_together(run: Run, gateway: FakeGateway) -> None:
    process = run("echo first; for i in $(seq 200); do echo $i; sleep 0.002; done")
    gateway.wait_for(lambda: gateway.log.startswith(b"first\n"))
    finish(process)
    assert len(gateway.pushes) < 20


def test_a_gateway_that_is_away_delays_the_news_but_not_the_job(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    process = run(f"echo up; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo over; touch {tmp_path}/done; exit 4")
    gateway.wait_for(lambda: gateway.log == b"up\n")
    gateway.close()
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists)
    gateway.open()
    assert finish(process)[0] == 4
    assert gateway.log == b"up\nover\n"
    assert gateway.exits[0]["code"] == 4


def test_a_gateway_that_is_away_from_the_start_is_told_later(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.close()
    process = run(f"touch {tmp_path}/ran; echo hello")
    until((tmp_path / "ran").exists)
    gateway.open()
    assert finish(process)[0] == 0
    assert gateway.log == b"hello\n"
    assert (len(gateway.starts), len(gateway.exits)) == (1, 1)


def test_what_the_spool_cannot_hold_is_dropped_and_marked(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.statuses["logs"] = 503
    code = f"""
import os, pathlib
for i in range(400_000): os.write(1, b'%09d\\n' % i)
pathlib.Path({str(tmp_path / "done")!r}).touch()
"""
    process = run([sys.executable, "-c", code], spool_bytes=1 << 20)
    until((tmp_path / "done").exists)
    del gateway.statuses["logs"]
    assert finish(process)[0] == 0
    line = re.search(rb"\[dartjobs: (\d+) bytes of log were dropped here: [a-z ]+\]\n", gateway.log)
    assert line is not None
    kept = bytes(gateway.log).replace(line[0], b"")
    assert int(line[1]) + len(kept) - 4_000_000 in {0, 1}  # a newline may have been put before the mark
    assert gateway.log[: line.start()].endswith(b"\n")
    assert kept.endswith(b"000399998\n000399999\n")
    assert gateway.exits[0]["log_end"] == len(gateway.log)


def test_a_full_disk_costs_log_and_nothing_else(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.statuses["logs"] = 503
    code = f"""
import os, pathlib
for _ in range(40): os.write(1, b'x' * 60_000)
pathlib.Path({str(tmp_path / "done")!r}).touch()
"""
    process = run([sys.executable, "-c", code], largest_file=1_000_000)
    until((tmp_path / "done").exists)
    del gateway.statuses["logs"]
    assert finish(process)[0] == 0
    assert b"bytes of log were dropped here" in gateway.log
    assert gateway.exits[0]["log_end"] == len(gateway.log)


def test_an_attempt_that_is_over_for_the_gateway_goes_on(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    process = run(
        f"echo up; until [ -e {tmp_path}/go ]; do echo more; sleep 0.02; done; exit 5", heartbeat_seconds=0.05
    )
    gateway.wait_for(lambda: gateway.heartbeats >= 2)
    gateway.statuses["logs"] = 410
    gateway.faults["exit"].clear()
    (tmp_path / "go").touch()
    assert finish(process)[0] == 5


def test_what_holds_the_pipe_open_is_not_waited_for(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    background = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600'"
    held = f"{background} & until [ -s {tmp_path}/pid ]; do sleep 0.02; done; echo over"
    try:
        assert finish(run(held))[0] == 0
        assert gateway.log == b"over\n"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_background_children_end_with_the_entrypoint(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    assert finish(run(f"sleep 600 & echo $! > {tmp_path}/pid; echo over"))[0] == 0
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert gateway.log == b"over\n"


def test_a_killed_runner_leaves_no_entrypoint_behind(run: Run, gateway: FakeGateway) -> None:
    process = run("echo $$; exec sleep 600")
    gateway.wait_for(lambda: gateway.log.endswith(b"\n"))
    pid = int(gateway.log)
    process.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_stop_while_it_waits_for_the_gateway_ends_the_wait(run: Run, gateway: FakeGateway) -> None:
    gateway.statuses["exit"] = 503
    process = run("exit 6")
    gateway.wait_for(lambda: gateway.requests["exit"])
    process.terminate()
    assert finish(process)[0] == 6
    assert not gateway.exits
