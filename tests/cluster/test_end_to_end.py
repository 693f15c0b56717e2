"""One job on the real cluster through every part: API, Sync Service with KubeRay, gateway, controller, CLI's client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dartjobs import Client, JobSpec
from tests.cluster.real import Cluster, held
from tests.fakes.parts import Installation, installation_at
from tests.fakes.polling import until

PATIENCE = 300.0


@pytest.fixture
def installation(tmp_path: Path, cluster: Cluster, namespace: str) -> Iterator[Installation]:
    profiles = tmp_path / "profiles.yaml"
    profiles.write_text("default: {runAsUser: 0}\n")
    with installation_at(
        tmp_path,
        f"sqlite+aiosqlite:///{tmp_path}/dartjobs.db",
        DARTJOBS_KUBERAY_KUBECONFIG=str(cluster.kubeconfig),
        DARTJOBS_KUBERAY_NAMESPACE=namespace,
        DARTJOBS_KUBERAY_IMAGE=cluster.image,
        DARTJOBS_KUBERAY_PROFILES_FILE=str(profiles),
    ) as made:
        made.environment["DARTJOBS_SYNC_GATEWAY_URL"] = f"http://{cluster.bridge}:{made.gateway_port}"
        made.upgrade()
        yield made


def test_a_job_runs_its_log_and_outcome_arrive_and_nothing_is_left(
    installation: Installation, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    api, gateway = installation.api(), installation.gateway(cluster.bridge)
    parts = [
        api,
        gateway,
        installation.part("server", "controller"),
        installation.part("server", "sync", "--driver", "kuberay"),
    ]
    for part in parts:
        part.start()
    api.until_it_serves()
    gateway.until_it_serves()
    code = tmp_path / "code"
    code.mkdir()
    (code / "say.py").write_text("import ray\nray.init()\nprint('answer', ray.get(ray.remote(lambda: 42).remote()))\n")
    with Client(api.url) as client:
        spec = JobSpec.model_validate(
            {
                "entrypoint": "python say.py; exit 3",
                "head": {"cpu": "500m", "memory": "2Gi"},
                "runtime_env": {"working_dir": str(code)},
            }
        )
        handle = client.submit(spec)
        until(lambda: client.get(handle.id).resource_state == "TERMINATED", PATIENCE)
        job = client.get(handle.id)
        log = b"".join(client.logs(handle.id)).decode()
    assert (job.job_state, job.attempt.reason, job.attempt.exit_code) == ("FAILED", "DRIVER_FAILED", 3)
    assert "answer 42" in log.splitlines()
    assert held(cluster, namespace) == []
    assert [part.stop() for part in parts] == [0] * len(parts)
