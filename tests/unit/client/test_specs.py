from pathlib import Path
from typing import Any

import pytest

from dartjobs import InvalidRequestError, JobSpec
from dartjobs.client.specs import draft

REF = "sha256:" + "0" * 64


def test_arguments_go_over_the_spec_and_what_was_not_set_stays_unset() -> None:
    spec = JobSpec(entrypoint="a", name="one", priority=3)
    made = draft(spec, entrypoint=["python", "b.py"], fields={"head": {"cpu": "500m"}})
    assert made.spec == {"entrypoint": ["python", "b.py"], "name": "one", "priority": 3, "head": {"cpu": "500m"}}


def test_a_working_dir_is_a_folder_unless_it_is_a_package() -> None:
    assert draft(None, entrypoint="a").folder is None
    assert draft(None, entrypoint="a", working_dir="src").folder == Path("src")
    assert draft({"entrypoint": "a", "runtime_env": {"working_dir": "~/x"}}).folder == Path.home() / "x"
    stored = draft(None, entrypoint="a", working_dir=REF)
    assert (stored.folder, stored.spec["runtime_env"]["working_dir"]) == (None, REF)
    assert draft(None, entrypoint="a", working_dir=".").with_package(REF)["runtime_env"]["working_dir"] == REF


@pytest.mark.parametrize(
    ("wrong", "field", "detail"),
    [
        ({"entrypoint": None}, "entrypoint", "it should be a valid string"),
        ({"entrypoint": []}, "entrypoint", "at least 1 item"),
        ({"entrypoint": ["a", ""]}, "entrypoint[1]", "at least 1 character"),
        ({"name": "My Job"}, "name", "lower case letters, digits and `-`"),
        ({"head": {"memory": "lots"}}, "head.memory", "like 500m, 2, 512Mi or 2Gi"),
        ({"head": {"memory": "1Mi"}}, "head.memory", "a Ray node needs at least 512Mi"),
        ({"head": {"cpus": 1}}, "head.cpus", "there are cpu, memory, gpu, resources"),
        ({"entry": "x"}, "entry", "there are apiVersion, name, entrypoint"),
        ({"workers": [{}, {"nmae": "x"}]}, "workers[1].nmae", "name, min_replicas, max_replicas"),
        ({"workers": [{}, {}]}, "workers", "two groups have one name"),
        ({"timeouts": {"job": "soon"}}, "timeouts.job", "like 90s, 10m, 1h30m, 24h or 7d"),
        ({"labels": {"a[0]": "x"}}, "labels.a[0]", "match pattern"),
        ({"priority": "high"}, "priority", "a valid integer"),
    ],
)
def test_a_wrong_spec_names_the_field_and_what_is_allowed(wrong: dict[str, Any], field: str, detail: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        draft({"entrypoint": "a", **wrong})
    (problem,) = caught.value.errors
    assert problem.field == field
    assert detail in problem.detail
    assert field in str(caught.value)
