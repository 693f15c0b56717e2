"""A JobSpec is strict, and survives being written and read."""

import pytest
from pydantic import ValidationError

from dartjobs.models.spec import JobSpec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"runtime_env": {"pip": ["a"], "uv": ["b"]}}, "exclude each other"),
        ({"runtime_env": {"env_vars": {"DARTJOBS_JOB_ID": "x"}}}, "set by the platform"),
        ({"head": {"resources": {"GPU": 1}}}, "field of its own"),
        ({"head": {"memory": "1Mi"}}, "at least 512Mi"),
        ({"workers": [{"min_replicas": 3, "max_replicas": 2}]}, "above max_replicas"),
        ({"workers": [{"name": "a"}, {"name": "a"}]}, "two groups have one name"),
        ({"apiVersion": "dartjobs/v2"}, "dartjobs/v1"),
        ({"entrypoint": []}, "at least 1"),
        ({"labels": {"team": "not a label!"}}, "match pattern"),
        ({"retries": {"user": -1}}, "greater than or equal"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(spec: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JobSpec.model_validate({"entrypoint": "true", **spec})


def test_it_reads_back_as_it_was_written() -> None:
    spec = JobSpec.model_validate(
        {
            "apiVersion": "dartjobs/v1",
            "name": "train",
            "entrypoint": ["python", "train.py", "--lr", "0.1"],
            "runtime_env": {"pip": ["numpy==2"], "env_vars": {"A": "1"}},
            "head": {"cpu": "500m", "memory": "1536Mi", "gpu": 1, "resources": {"TPU": 4}},
            "workers": [{"name": "w", "cpu": 2, "min_replicas": 0, "max_replicas": 4}],
            "timeouts": {"job": "24h", "creating": "60s"},
            "ttl_after_finished": "10m",
            "retries": {"infrastructure": 3, "backoff": "1m30s"},
            "priority": -3,
            "cluster_selector": {"zone": "a"},
            "labels": {"team": "vision"},
        }
    )
    assert JobSpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec
