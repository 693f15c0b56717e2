import json
import os
import pty
import signal

from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.unit.cli.conftest import Run, Start


def test_a_watched_job_is_a_line_for_each_change(api: FakeApi, run: Run) -> None:
    job_id = api.add(name="train").id
    api.run(job_id)
    api.end(job_id, JobState.FAILED, exit_code=3)
    shown = run("get", job_id, "--watch")
    assert (shown.exit_code, shown.stdout.split()[:3]) == (0, [job_id, "train", "FAILED"])
    lines = run("get", job_id, "-w", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["job_state"] for line in lines] == ["FAILED"]


def test_a_watched_list_tells_what_is_new_in_a_pipe(api: FakeApi, start: Start) -> None:
    first = api.add(name="one").id
    process = start("list", "--watch", "--active", "-o", "json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["id"] == first
    second = api.add(name="two").id
    assert json.loads(process.stdout.readline())["id"] == second
    api.run(first)
    changed = json.loads(process.stdout.readline())
    assert (changed["id"], changed["job_state"]) == (first, "RUNNING")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_filters_reach_the_server(api: FakeApi, run: Run) -> None:
    ids = [api.add(user=user, labels={"team": team}).id for user, team in (("ada", "a"), ("bob", "a"), ("bob", "b"))]
    assert run("list", "-l", "team=a", "-o", "name").stdout.split() == [ids[1], ids[0]]
    assert run("list", "--user", "bob", "-l", "team in (b)", "-o", "name").stdout.split() == [ids[2]]
    assert run("list", "--mine", "-o", "name", env={"DARTJOBS_USER": "ada"}).stdout.split() == [ids[0]]
    assert run("list", "--since", "1h", "-o", "name").stdout == ""
    assert run("list", "--since", "2020-01-01", "-o", "name").stdout.split() == ids[::-1]
    api.end(ids[0])
    assert run("list", "--finished", "-o", "name").stdout.split() == [ids[0]]
    assert run("list", "--active", "-o", "name").stdout.split() == [ids[2], ids[1]]
    assert run("list", "--since", "soon").exit_code == 2
    assert run("list", "--mine", "--user", "x").exit_code == 2
    wide = run("list", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[-2:] == ["LABELS", "WHY"]
    assert "team=b" in wide[1]


def test_a_narrow_terminal_is_not_overrun_and_no_color_is_none(api: FakeApi, start: Start) -> None:
    api.run(api.add(name="a-long-name-of-a-job-that-goes-on").id)
    plain = _on_a_terminal(start, {"COLUMNS": "50", "NO_COLOR": "1"}).decode()
    assert all(len(line) <= 50 for line in plain.splitlines())
    assert "\x1b" not in plain
    assert "…" in plain
    assert b"\x1b[36mRUNNING" in _on_a_terminal(start, {"COLUMNS": "120", "TERM": "xterm"})


def _on_a_terminal(start: Start, environ: dict[str, str]) -> bytes:
    mine, theirs = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as screen:
        process = start("list", stdout=theirs, env=environ)
        os.close(theirs)
        shown = b""
        # Linux ends a terminal whose other side has gone with EIO.
        try:
            while piece := screen.read(4_096):
                shown += piece
        except OSError:
            process.wait(10)
    return shown
