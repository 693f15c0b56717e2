"""Describe, explain, retry, requeue, clusters, doctor, completion."""

import json
import os
import socket
import subprocess
import sys

import pytest
from starlette.responses import JSONResponse, Response

from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.fakes.server import Server
from tests.unit.cli.conftest import ABSENT, Run


def test_describe_says_everything(api: FakeApi, run: Run) -> None:
    job_id = api.add(name="train").id
    api.run(job_id)
    api.move(job_id, ResourceState.TERMINATING, JobState.FAILED, Reason.HEAD_LOST, retry=True)
    shown = run("describe", job_id).stdout
    for text in ("Name        train", "Explanation\n", "Attempts\n", "Events\n", "HEAD_LOST", "RETRIED", "Position"):
        assert text in shown
    data = json.loads(run("describe", job_id, "-o", "json").stdout)
    assert {*data} == {"job", "explanation", "attempts", "events"}
    assert [one["number"] for one in data["attempts"]] == [1, 2]


def test_why_is_explain(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    shown = run("explain", job_id)
    assert "Summary    No cluster is registered yet." in shown.stdout
    assert "Next       A cluster with room will take it." in shown.stdout
    assert run("why", job_id).stdout.splitlines()[0] == shown.stdout.splitlines()[0]
    assert json.loads(run("why", job_id, "-o", "json").stdout)["position"] == 1
    assert run("why", ABSENT).exit_code == 66


def test_each_finished_job_is_retried_and_the_others_are_told(api: FakeApi, run: Run) -> None:
    over, going = api.add(name="again").id, api.add().id
    api.end(over)
    result = run("retry", over, going, "-o", "name")
    assert result.exit_code == 65
    assert "only one that is over" in result.stderr
    (made,) = result.stdout.split()
    assert (api.jobs[made].job.retry_of, api.jobs[made].job.name) == (over, "again")


def test_a_running_job_is_sent_back(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    assert run("requeue", job_id).exit_code == 65
    api.run(job_id)
    assert run("requeue", job_id, "--reason", "drain", "-o", "name").stdout == f"{job_id}\n"
    wish = api.jobs[job_id].job.requeue
    assert wish is not None
    assert wish.reason == "drain"


def test_clusters_are_registered_emptied_and_removed(api: FakeApi, run: Run) -> None:
    limits = ("--max-jobs", "5", "--max-cpu", "500m", "--max-memory", "2Gi", "--max-gpu", "0")
    names = ("--allow", "team", "--allow", "lab", "--label", "zone=b", "--placement", "spread")
    assert run("cluster", "add", "west", *limits, *names, "-o", "name").stdout == "west\n"
    shown = run("cluster", "get", "west").stdout
    for line in (
        "Identity    not seen yet",
        "Limits      5 jobs, 500m CPU, 2Gi memory, 0 GPU",
        "Namespaces  team, lab",
        "Placement   spread",
    ):
        assert line in shown
    assert "never" in run("cluster", "list").stdout
    assert run("cluster", "add", "west").exit_code == 65
    assert run("cluster", "add", "west", "--replace").exit_code == 0
    assert run("cluster", "add", "west", "--max-cpu", "lots", "--replace").exit_code == 65
    assert run("cluster", "remove", "west").exit_code == 0
    assert "west" not in api.clusters


def test_a_cluster_is_drained(api: FakeApi, run: Run) -> None:
    api.add_cluster("local")
    api.run(api.add().id)
    drained = run("cluster", "drain", "local", "--requeue", "--reason", "update", "-o", "json")
    assert (json.loads(drained.stdout)["state"], drained.stderr) == ("CORDONED", "1 jobs go back to the queue.\n")
    assert run("cluster", "drain", "local", "--timeout", "1s").exit_code == 2
    assert run("cluster", "drain", "local", "--wait", "--timeout", "0s").exit_code == 124
    assert run("cluster", "remove", "local").exit_code == 65
    api.clusters["local"] = api.clusters["local"].model_copy(update={"attempts": 0})
    assert run("cluster", "drain", "local", "--wait").exit_code == 0


def test_clusters_are_seen_and_changed(api: FakeApi, run: Run) -> None:
    api.add_cluster("east")
    lines = run("cluster", "list").stdout.splitlines()
    assert lines[1].split()[:6] == ["east", "READY", "2/8", "4Gi/16Gi", "0/1", "1"]
    assert "CPU       2/8 used" in run("cluster", "get", "east").stdout
    assert json.loads(run("cluster", "cordon", "east", "-o", "json").stdout)["state"] == "CORDONED"
    assert run("cluster", "uncordon", "east", "-o", "name").stdout == "east\n"
    refused = run("cluster", "lost", "east")
    assert (refused.exit_code, "--yes" in refused.stderr, api.clusters["east"].lost_at) == (2, True, None)
    assert run("cluster", "lost", "east", "-y", "--reason", "fire").exit_code == 0
    assert "Lost" in run("cluster", "get", "east").stdout
    assert run("cluster", "readmit", "east").exit_code == 0
    assert run("cluster", "get", "west").exit_code == 66
    assert run("cluster", "get", "../x").exit_code == 65


def test_a_doctor_finds_everything_well(api: FakeApi, run: Run) -> None:
    api.add_cluster("east")
    result = run("doctor")
    assert result.exit_code == 0
    checked = [line.split()[1] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert checked == ["python", "config", "context", "server", "clock", "version", "namespace", "packages", "clusters"]


def test_a_doctor_says_what_is_odd_and_what_to_do(api: FakeApi, run: Run) -> None:
    api.version = "99.1.0"
    late = {"date": "Wed, 01 Jan 2020 00:00:00 GMT"}
    api.answer_once("GET", "/healthz", JSONResponse({"status": "ok"}, headers=late))
    shown = run("doctor").stdout
    assert "pip install 'dartjobs==99.1.0'" in shown
    assert "differs from the server's by" in shown
    assert "none of 0 takes jobs" in shown


def test_a_doctor_tells_no_server_from_another_one(api: FakeApi, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = run("doctor", "--url", f"http://127.0.0.1:{port}", "-o", "json")
    assert (result.exit_code, "connection refused" in json.loads(result.stdout)[-1]["detail"]) == (1, True)
    api.answer_once("GET", "/healthz", Response("<h1>It works!</h1>", media_type="text/html"))
    result = run("doctor")
    assert result.exit_code == 1
    assert "not as a DART Jobs server does: <h1>It works!" in result.stdout
    assert run("doctor", "--url", "nonsense").exit_code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_writes_a_script(run: Run, shell: str) -> None:
    assert "_DARTJOBS_COMPLETE" in run("completion", shell).stdout


def complete(url: str, *words: str) -> tuple[list[str], str]:
    environ = {"_DARTJOBS_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["dartjobs", *words])}
    environ |= {"COMP_CWORD": str(len(words)), "DARTJOBS_URL": url}
    program = "from dartjobs.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    return [line.partition(",")[2] for line in done.stdout.split()], done.stderr


def test_a_shell_completes_commands_jobs_and_clusters(api: FakeApi, server: Server) -> None:
    ids = [api.add().id, api.add().id]
    api.add_cluster("east")
    assert complete(server.url, "des") == (["describe"], "")
    assert complete(server.url, "logs", "job-") == (ids[::-1], "")
    assert complete(server.url, "stop", ids[0], "job-") == ([ids[1]], "")
    assert complete(server.url, "cluster", "cordon", "e") == (["east"], "")
    assert complete("http://127.0.0.1:9", "logs", "job-") == ([], "")
