"""Command lines and environments, without starting anything."""

from pathlib import Path
from typing import Any

import pytest

from dartjobs.drivers.base import Launch
from dartjobs.drivers.local import plan
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.models.spec import JobSpec
from tests.conformance.driver import new_attempt

SETTINGS = LocalSettings(Path("/data"), python=Path("/env/bin/python"))
PORTS = plan.Ports(20_001, 20_002, 20_003)


def cluster(gpus: list[int] | None = None, **spec: Any) -> dict[str, Any]:
    launch = Launch(new_attempt(), JobSpec.model_validate({"entrypoint": "true"} | spec), "token", "http://gateway")
    return plan.cluster(SETTINGS, launch, uids=("cluster", "head"), ports=PORTS, gpus=gpus)


def options(node: dict[str, Any]) -> dict[str, str]:
    return dict(part[2:].partition("=")[::2] for part in node["command"] if part.startswith("--"))


def test_the_head_has_what_the_spec_says() -> None:
    head = cluster(head={"cpu": "1500m", "memory": "1Gi", "resources": {"disk": 2}})["head"]
    given = options(head)
    assert head["command"][0] == "/env/bin/python"
    assert (given["num-cpus"], given["memory"], given["num-gpus"]) == ("2", str(2**30), "0")
    assert given["resources"] == '{"disk": 2.0}'
    assert given["object-store-memory"] == str(int(0.3 * 2**30))
    assert (given["port"], given["dashboard-port"], given["ray-client-server-port"]) == ("20001", "20002", "20003")


@pytest.mark.parametrize(("minimum", "nodes"), [(0, 1), (1, 1), (3, 3)])
def test_each_group_starts_with_its_minimum_and_one_at_least(minimum: int, nodes: int) -> None:
    group = {"min_replicas": minimum, "max_replicas": 5}
    workers = cluster(workers=[{"name": "a", **group}, {"name": "b"}])["workers"]
    assert len(workers) == nodes + 1
    assert all(options(worker)["address"] == "127.0.0.1:20001" for worker in workers)


def test_only_the_head_knows_the_gateway() -> None:
    content = cluster(workers=[{}])
    assert content["head"]["environment"]["DARTJOBS_HEAD_UID"] == "head"
    assert set(content["workers"][0]["environment"]) == {plan.LOOPBACK_ONLY}


def test_a_node_without_gpus_sees_none_where_there_are_some() -> None:
    content = cluster(gpus=[4], workers=[{"gpu": 1}])
    assert content["head"]["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    assert content["workers"][0]["environment"]["CUDA_VISIBLE_DEVICES"] == "4"


def test_a_socket_in_the_session_folder_has_a_path_that_linux_takes() -> None:
    session = "r/session_2026-11-23_11-12-40_808737_1234567/sockets/plasma_store.100"
    assert len(str(plan.temp_dir(SETTINGS, new_attempt().id) / session)) < 107
