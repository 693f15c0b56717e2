import os
import pty
import signal

from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.fakes.polling import until
from tests.fakes.server import Server
from tests.unit.cli.conftest import ABSENT, Run, Start

SPITEFUL = b"\x1b[32mgreen\x1b[0m \x1b]0;title\x07\x1b[2Jend\n"


def test_a_log_goes_to_stdout_byte_for_byte(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    data = bytes(range(256)) * 3_000
    api.write(job_id, data)
    result = run("logs", job_id)
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, data, "")


def test_parts_of_a_log(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    api.write(job_id, b"one\ntwo\nthree\n")
    assert run("logs", job_id, "--tail", "2").stdout == "two\nthree\n"
    assert run("logs", job_id, "--attempt", "1", "--tail", "0").stdout == ""
    assert run("logs", job_id, "--tail", "-1").exit_code == 2


def test_follow_goes_on_over_a_server_that_is_killed_and_says_so(api: FakeApi, server: Server, start: Start) -> None:
    job_id = api.add().id
    api.run(job_id)
    api.write(job_id, b"before ")
    process = start("logs", job_id, "--follow")
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 100) == b"before "
    server.kill()
    api.write(job_id, b"after\n")
    api.end(job_id)
    server.restart()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"after\n")
    said = [line for line in err.decode().splitlines() if line.startswith("Warning: ")]
    assert len(said) == 2, "two connections follow it, and each loses the server"
    assert said[0].endswith("trying again")
    assert said[1].endswith("answers again")


def test_ctrl_c_says_how_to_come_back(api: FakeApi, start: Start) -> None:
    job_id = api.add().id
    process = start("logs", job_id, "--follow")
    until(lambda: api.count("GET", "/logs"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, b"")
    assert f"dartjobs logs {job_id} --follow" in err.decode()


def test_a_reader_that_goes_away_ends_it_quietly(api: FakeApi, start: Start) -> None:
    job_id = api.add().id
    api.run(job_id)
    api.write(job_id, b"line\n" * 200_000)
    for more in ((), ("--follow",)):
        process = start("logs", job_id, *more)
        assert process.stdout is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 141
        assert b"Error" not in err
        assert b"Traceback" not in err


def test_a_terminal_is_shown_colours_and_obeys_nothing_else(api: FakeApi, start: Start) -> None:
    job_id = api.add().id
    api.write(job_id, SPITEFUL)
    assert _on_a_terminal(start, "logs", job_id) == b"\x1b[32mgreen\x1b[0m end\r\n\x1b[0m"
    assert _on_a_terminal(start, "logs", job_id, "--raw") == SPITEFUL.replace(b"\n", b"\r\n")


def test_a_job_that_is_not_there(run: Run) -> None:
    for more in ((), ("--follow",)):
        result = run("logs", ABSENT, *more)
        assert (result.exit_code, result.stdout) == (66, "")
        assert result.stderr == f"Error: There is no job {ABSENT} in namespace default.\n"


def test_follow_of_a_finished_job_exits_as_it_did(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    api.write(job_id, b"bye\n")
    api.end(job_id, JobState.FAILED, exit_code=7)
    result = run("logs", job_id, "--follow", "--tail", "1")
    assert (result.exit_code, result.stdout) == (7, "bye\n")


def _on_a_terminal(start: Start, *args: str) -> bytes:
    mine, theirs = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as screen:
        process = start(*args, stdout=theirs)
        os.close(theirs)
        shown = b""
        # Linux ends a terminal whose other side has gone with EIO.
        try:
            while piece := screen.read(4_096):
                shown += piece
        except OSError:
            process.wait(10)
    return shown
