"""Manifests are compared with golden files; a changed one shows in the diff what changes in clusters."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dartjobs.drivers.base import FinalDriverError, Launch
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.manifests import manifests
from dartjobs.drivers.kuberay.profiles import Profile, read_profiles
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, ResourceState

GOLDEN = Path(__file__).parent / "golden"
JOB = "job-0c5k1q3v8t2m6n9p4r7s0a1b2c"
AT = datetime(2026, 1, 2, tzinfo=UTC)
ATTEMPT = Attempt(
    id=f"{JOB}-1",
    job_id=JOB,
    number=1,
    resource_state=ResourceState.CREATING,
    job_state=JobState.WAITING,
    version=2,
    reason=Reason.CLAIMED,
    created_at=AT,
    entered_at=AT,
)
PLAIN = JobSpec.model_validate({"entrypoint": "python train.py"})
RICH = JobSpec.model_validate(
    {
        "entrypoint": "python train.py",
        "head": {"cpu": "500m", "memory": "4Gi", "resources": {"hand": 1.5}},
        "workers": [
            {"name": "fixed", "cpu": 2, "memory": "8Gi", "min_replicas": 2, "max_replicas": 2},
            {"name": "gpus", "cpu": 4, "memory": "16Gi", "gpu": 1, "min_replicas": 0, "max_replicas": 3},
        ],
    }
)
PROFILE = Profile.model_validate(
    {
        "nodeSelector": {"pool": "ray"},
        "tolerations": [{"key": "ray", "operator": "Exists"}],
        "priorityClassName": "jobs",
        "serviceAccountName": "ray",
        "imagePullSecrets": ["registry"],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "runAsUser": 0,
    }
)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002, ANN401 - as the base class has it
        return True


def made(spec: JobSpec, settings: KubeRaySettings, profile: Profile) -> str:
    launch = Launch(ATTEMPT, spec, "token-of-the-runner", "http://gateway:7879")
    found = manifests(launch, settings, profile, installation="home", ray_token="token-of-ray", runner="print()\n")
    return yaml.dump_all([one.body for one in found], Dumper=_Plain, sort_keys=False)


CASES = {
    "plain": (PLAIN, KubeRaySettings(), Profile()),
    "rich": (
        RICH,
        KubeRaySettings(
            namespace="jobs",
            image="registry/ray:1",
            security_groups=["sg-1"],
            dashboard_peers=[{"ipBlock": {"cidr": "10.0.0.0/28"}}],
        ),
        PROFILE,
    ),
    "unguarded": (PLAIN, KubeRaySettings(network_policy=False), Profile(image="registry/ray:2")),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_created_is_as_in_its_golden_file(name: str) -> None:
    text = made(*CASES[name])
    assert text == (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"), text


def test_what_guards_a_ray_cluster_is_created_before_it() -> None:
    kinds = [one["kind"] for one in yaml.safe_load_all(made(*CASES["rich"]))]
    assert kinds == ["ConfigMap", "NetworkPolicy", "SecurityGroupPolicy", "Secret", "RayCluster"]


@given(st.from_regex(r"\Ajob-[0-9a-v]{26}\Z"), st.integers(1, 10**9))
def test_every_name_is_one_that_kuberay_takes(job_id: str, number: int) -> None:
    name = names.cluster_name(f"{job_id}-{number}")
    assert len(name) <= 53
    assert len(names.head_service(name)) <= 63


def test_a_name_that_kuberay_would_not_take_is_refused() -> None:
    for name in ("", "1st", "Upper", "dot.ted", "ends-", "a" * 54):
        with pytest.raises(FinalDriverError):
            names.cluster_name(name)


def test_each_attempt_and_installation_has_a_token_of_its_own() -> None:
    tokens = {names.ray_token(b"secret", where, one) for where in ("a", "b") for one in ("job-1", "job-2")}
    assert len(tokens) == 4


def test_profiles_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text("gpu:\n  nodeSelector: {pool: gpu}\n")
    found = read_profiles(path)
    assert found["default"] == Profile()
    assert found["gpu"].node_selector == {"pool": "gpu"}
    for wrong in ("gpu: {hostNetwork: true}", "[1]", "a: {b: ["):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"\w"):
            read_profiles(path)
