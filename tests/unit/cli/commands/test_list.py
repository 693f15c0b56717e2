import json

import yaml

from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.api import FakeApi
from tests.unit.cli.conftest import ABSENT, Run


def test_an_empty_list_is_a_list(run: Run) -> None:
    assert run("list", "-o", "json").stdout == "[]\n"
    assert run("list", "-o", "yaml").stdout == "[]\n"
    assert run("list", "-o", "name").stdout == ""
    assert run("list").stdout.split() == ["ID", "NAME", "STATE", "REASON", "CLUSTER", "USER", "AGE", "DURATION"]


def test_a_table_can_be_read_by_column(api: FakeApi, run: Run) -> None:
    api.add(name="a" * 63, user="evil\x1b]0;title\x07\nuser")
    job_id = api.add(name="train").id
    api.run(job_id)
    lines = run("list").stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:6] == [job_id, "train", "RUNNING", "DRIVER_STARTED", "local", "ada"]
    assert "a" * 63 in lines[2]
    assert "evil user" in lines[2]
    assert "\x1b" not in lines[2]


def test_filters_and_limits(api: FakeApi, run: Run) -> None:
    ids = [api.add(name="odd" if number % 2 else "even").id for number in range(60)]
    api.end(ids[3], JobState.FAILED)
    api.run(ids[4])
    assert run("list", "--state", "failed", "--state", "RUNNING", "-o", "name").stdout.split() == [ids[4], ids[3]]
    assert run("list", "--name", "odd", "--limit", "2", "-o", "name").stdout.split() == [ids[59], ids[57]]
    usual = run("list", "-o", "name")
    assert (usual.stdout.split(), "--all" in usual.stderr) == (ids[:9:-1], True)
    everything = run("list", "--all", "-o", "name")
    assert (everything.stdout.split(), everything.stderr) == (ids[::-1], "")
    assert run("list", "--state", "DONE").exit_code == 2


def test_json_and_yaml_say_the_same_and_only_that(api: FakeApi, run: Run) -> None:
    api.add(user="jos\u00e9 \x9b")
    as_json, as_yaml = run("list", "-o", "json"), run("list", "-o", "yaml")
    assert json.loads(as_json.stdout) == yaml.safe_load(as_yaml.stdout)
    assert json.loads(as_json.stdout)[0]["spec"]["apiVersion"] == "dartjobs/v1"
    assert as_json.stdout.isascii()
    assert (as_json.stderr, as_yaml.stderr) == ("", "")


def test_get_says_why_and_what_to_do(api: FakeApi, run: Run) -> None:
    job_id = api.add(name="train", workers=[{"min_replicas": 1, "max_replicas": 4, "gpu": 1}]).id
    assert "Why         No cluster is registered yet." in run("get", job_id).stdout
    api.run(job_id)
    api.move(
        job_id,
        ResourceState.TERMINATING,
        JobState.FAILED,
        Reason.DRIVER_FAILED,
        exit_code=3,
        message="bad\x1b[2J\nline",
    )
    shown = run("get", job_id).stdout
    for line in (
        "State       FAILED",
        "Reason      DRIVER_FAILED (USER): the entrypoint exited with a code other than 0",
        "Message     bad line",
        f"Advice      Read the end of its log: `dartjobs logs {job_id} --tail 50`.",
        "Exit code   3",
        "Workers     workers: 1 to 4 of 1 CPU, 2Gi memory, 1 GPU",
        "Entrypoint  python main.py",
    ):
        assert f"{line}\n" in shown
    assert json.loads(run("get", job_id, "-o", "json").stdout)["id"] == job_id
    assert run("get", ABSENT).exit_code == 66
    assert run("get", "train").exit_code == 66


def test_history_tells_each_move_with_the_time_it_lasted(api: FakeApi, run: Run) -> None:
    job_id = api.add().id
    api.run(job_id)
    api.end(job_id, JobState.FAILED, message="It failed.")
    api.move(job_id, ResourceState.TERMINATED, JobState.FAILED, Reason.DELETED)
    lines = [line.split("  ") for line in run("history", job_id).stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [row[2:] for row in cells[1:]] == [
        ["QUEUED, WAITING", "1s", "SUBMITTED", "-", "fake"],
        ["CREATING, WAITING", "1s", "CLAIMED", "-", "fake"],
        ["READY, RUNNING", "1s", "DRIVER_STARTED", "-", "fake"],
        ["TERMINATING, FAILED", "1s", "DRIVER_FAILED", "It failed.", "fake"],
        ["TERMINATED, FAILED", "-", "DELETED", "-", "fake"],
    ]
    assert [one["version"] for one in json.loads(run("history", job_id, "-o", "json").stdout)] == [1, 2, 3, 4, 5]
