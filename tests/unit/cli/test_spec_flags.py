from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from dartjobs import InvalidRequestError, JobSpec
from dartjobs.cli.spec_flags import Flags, Request, name_of_folder, request_of

FILE = """
name: from-file
entrypoint: python main.py
runtime_env:
  working_dir: code
  env_vars: {A: file, B: file}
head: {cpu: 4, memory: 8Gi}
workers: [{name: gpus, min_replicas: 2, max_replicas: 4, gpu: 1}]
labels: {team: vision}
"""


def flags(**given: Any) -> Flags:
    nothing = {
        field.name: () if "tuple[str" in str(field.type) or "Pairs" in str(field.type) else None
        for field in fields(Flags)
    }
    defaults = {"no_working_dir": False, "resource": (), "worker_resource": ()}
    pairs = ("label", "annotation", "metadata", "cluster_selector", "retry")
    return Flags(**{**nothing, **defaults, **dict.fromkeys(pairs, ()), **given})


def made(**given: Any) -> Request:
    return request_of(flags(**given), {"HERE": "yes"})


def test_one_argument_is_a_line_for_a_shell_and_several_are_a_list() -> None:
    assert made(arguments=("echo $HOME | wc",)).spec["entrypoint"] == "echo $HOME | wc"
    assert made(arguments=("echo", "$HOME")).spec["entrypoint"] == ["echo", "$HOME"]


def test_every_flag_of_a_node_reaches_its_field() -> None:
    head = {"cpu": "2", "memory": "4Gi", "gpu": 1, "resource": (("tpu", "2"),)}
    worker = {"worker_cpu": "500m", "worker_memory": "1Gi", "worker_gpu": 2, "worker_resource": (("disk", "1"),)}
    spec = JobSpec.model_validate(made(arguments=("x",), name="n", workers=(1, 4), **head, **worker).spec)
    group = {"cpu": "500m", "memory": "1Gi", "gpu": 2, "resources": {"disk": 1.0}}
    assert spec.model_dump(mode="json", exclude_unset=True) == {
        "name": "n",
        "entrypoint": "x",
        "head": {"cpu": "2", "memory": "4Gi", "gpu": 1, "resources": {"tpu": 2.0}},
        "workers": [group | {"min_replicas": 1, "max_replicas": 4}],
    }


def test_every_other_flag_reaches_its_field() -> None:
    request = made(
        arguments=("x",),
        name="train",
        env=("A=1=2", "HERE"),
        pip=("numpy", "scipy>1"),
        timeout="1h",
        ttl="5m",
        grace="10s",
        priority=-3,
        label=(("team", "vision"),),
        annotation=(("note", "a b"),),
        metadata=(("k", "v"),),
        cluster_selector=(("zone", "a"),),
        retry=(("user-env", "1"), ("INFRASTRUCTURE", "2")),
    )
    assert JobSpec.model_validate(request.spec).model_dump(mode="json", exclude_unset=True) == {
        "name": "train",
        "entrypoint": "x",
        "runtime_env": {"pip": ["numpy", "scipy>1"], "env_vars": {"A": "1=2", "HERE": "yes"}},
        "timeouts": {"job": "1h"},
        "ttl_after_finished": "5m",
        "stop_grace_period": "10s",
        "priority": -3,
        "labels": {"team": "vision"},
        "annotations": {"note": "a b"},
        "metadata": {"k": "v"},
        "cluster_selector": {"zone": "a"},
        "retries": {"user_env": 1, "infrastructure": 2},
    }


def test_flags_go_over_the_file_field_by_field(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(FILE)
    request = made(file=file, cpu="1", env=("B=flag",), workers=(3, 3), label=(("tier", "gold"),), arguments=("other",))
    assert request.spec == {
        "name": "from-file",
        "entrypoint": "other",
        "runtime_env": {"env_vars": {"A": "file", "B": "flag"}},
        "head": {"cpu": "1", "memory": "8Gi"},
        "workers": [{"name": "gpus", "min_replicas": 3, "max_replicas": 3, "gpu": 1}],
        "labels": {"team": "vision", "tier": "gold"},
    }
    assert request.working_dir == str(tmp_path / "code")


def test_a_date_in_a_file_is_a_text_as_in_json(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("entrypoint: x\nannotations: {day: 2026-10-01, none: 2026-13-45}\n")
    assert made(file=file).spec["annotations"] == {"day": "2026-10-01", "none": "2026-13-45"}


@pytest.mark.parametrize("text", ["runtime_env: [pip]", "runtime_env: {working_dir: 5}", "runtime_env: x"])
def test_a_runtime_env_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(f"entrypoint: x\n{text}\n")
    with pytest.raises(InvalidRequestError, match="runtime_env is a mapping"):
        made(file=file)


def test_where_the_code_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("entrypoint: x\n")
    ref = "sha256:" + "0" * 64
    stored = tmp_path / "stored.yaml"
    stored.write_text(f"entrypoint: x\nruntime_env: {{working_dir: '{ref}'}}\n")
    assert made(arguments=("x",)).working_dir == "."
    assert made(arguments=("x",), no_working_dir=True).working_dir is None
    assert made(arguments=("x",), working_dir=Path("src")).working_dir == "src"
    assert made(file=file).working_dir is None
    assert made(file=file, working_dir=Path("src")).working_dir == "src"
    assert made(file=stored).working_dir == ref


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Project_2", "my-project-2"), ("-x-", "x"), ("é", ""), ("a" * 62 + "_b", "a" * 62), ("B.C", "b-c")],
)
def test_a_job_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert name_of_folder(tmp_path / folder) == name
    request = made(arguments=("x",), working_dir=tmp_path / folder)
    assert request.spec.get("name", "") == name
    JobSpec.model_validate(request.spec)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Nothing to run"),
        ({"arguments": ("x",), "env": ("NOT_SET",)}, "NOT_SET: it is not set here"),
        ({"arguments": ("x",), "worker_cpu": "2"}, "need --workers"),
        ({"arguments": ("x",), "retry": (("luck", "1"),)}, "the categories are user, user_env"),
        ({"arguments": ("x",), "no_working_dir": True, "working_dir": Path()}, "exclude each other"),
    ],
)
def test_flags_that_make_no_sense_are_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        made(**given)


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a list", "holds no JobSpec"), ("", "holds no JobSpec"), ("a: [", "cannot be read as YAML"), ("a: &x\n", None)],
)
def test_a_file_that_is_no_spec_is_told(tmp_path: Path, text: str, message: str | None) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    if message is None:
        assert made(file=file, arguments=("x",)).spec["a"] is None
        return
    with pytest.raises(InvalidRequestError, match=message):
        made(file=file, arguments=("x",))


def test_several_groups_of_workers_are_changed_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("entrypoint: x\nworkers: [{name: a}, {name: b}]\n")
    with pytest.raises(click.UsageError, match="several groups"):
        made(file=file, workers=(1, 1))


RAYJOB = """
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: scores}
spec:
  entrypoint: python scores.py
  runtimeEnvYAML: 'working_dir: "https://example.org/code.zip"'
  rayClusterSpec:
    rayVersion: 2.50.0
    headGroupSpec: {template: {spec: {containers: [{resources: {limits: {cpu: 2, memory: 4Gi}}}]}}}
"""


def test_a_rayjob_is_a_file_too_and_flags_go_over_it(tmp_path: Path) -> None:
    file = tmp_path / "rayjob.yaml"
    file.write_text(RAYJOB)
    with pytest.raises(InvalidRequestError, match="rayVersion"):
        made(file=file, working_dir=tmp_path)
    request = made(file=file, ignore=("rayVersion",), working_dir=tmp_path, cpu="4", label=(("team", "risk"),))
    assert request.working_dir == str(tmp_path)
    assert request.spec == {
        "name": "scores",
        "entrypoint": "python scores.py",
        "head": {"cpu": "4", "memory": "4Gi"},
        "labels": {"team": "risk"},
    }
    assert made(file=file, ignore=("rayVersion",), no_working_dir=True).working_dir is None


def test_fields_of_a_job_spec_are_not_ignored(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(FILE)
    with pytest.raises(click.UsageError, match="--ignore"):
        made(file=file, ignore=("image",))
