"""Who we are to an API server, by the ways that kubeconfigs and pods know."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from dartjobs.drivers.base import FinalDriverError
from dartjobs.drivers.kuberay.credentials import credentials
from tests.fakes.kube import FakeKube

IDENTITY = "/api/v1/namespaces/kube-system"


@pytest.fixture
def kube() -> Iterator[FakeKube]:
    with FakeKube() as fake:
        yield fake


def with_user(kube: FakeKube, path: Path, user: dict[str, Any]) -> Path:
    config = yaml.safe_load(kube.kubeconfig(path).read_text())
    config["users"] = [{"name": "me", "user": user}]
    path.write_text(yaml.safe_dump(config))
    return path


def plugin(folder: Path, token: str) -> dict[str, Any]:
    """It counts how often it is run."""
    answer = json.dumps({"status": {"token": token}})
    (folder / "plugin.sh").write_text(f"echo run >> {folder}/runs\necho '{answer}'\n")
    command = {"command": "/bin/sh", "args": [str(folder / "plugin.sh")]}
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", **command}}


async def statuses(path: Path, requests: int) -> list[int]:
    found = credentials(path, None)
    async with httpx.AsyncClient(verify=found.verify, auth=found.auth, trust_env=False) as client:
        return [(await client.get(found.server + IDENTITY)).status_code for _ in range(requests)]


async def test_an_exec_plugin_is_run_once_for_many_requests(kube: FakeKube, tmp_path: Path) -> None:
    path = with_user(kube, tmp_path / "kubeconfig", plugin(tmp_path, kube.token))
    assert await statuses(path, 3) == [200] * 3
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_an_exec_plugin_is_run_again_when_its_token_is_refused(kube: FakeKube, tmp_path: Path) -> None:
    path = with_user(kube, tmp_path / "kubeconfig", plugin(tmp_path, "expired"))
    assert await statuses(path, 1) == [401]
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


async def test_a_plugin_that_fails_is_an_error_of_the_request(kube: FakeKube, tmp_path: Path) -> None:
    broken = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/bin/false"}}
    path = with_user(kube, tmp_path / "kubeconfig", broken)
    with pytest.raises(httpx.RequestError, match="credentials cannot be had"):
        await statuses(path, 1)


async def test_a_body_that_is_streamed_is_never_sent_twice(kube: FakeKube, tmp_path: Path) -> None:
    found = credentials(kube.kubeconfig(tmp_path / "kubeconfig"), None)
    kube.token = "rotated"

    async def body() -> AsyncIterator[bytes]:
        yield b"{}"

    async with httpx.AsyncClient(verify=found.verify, auth=found.auth, trust_env=False) as client:
        answer = await client.post(found.server + IDENTITY, content=body())
        kube.kubeconfig(tmp_path / "kubeconfig")
        assert (answer.status_code, kube.asked) == (401, [])
        assert (await client.get(found.server + IDENTITY)).status_code == 200


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(FinalDriverError, match="not found"):
        credentials(tmp_path / "absent", None)
    (tmp_path / "broken").write_text("{}")
    with pytest.raises(FinalDriverError, match="broken"):
        credentials(tmp_path / "broken", None)


def test_a_context_that_is_not_there_is_told(kube: FakeKube, tmp_path: Path) -> None:
    with pytest.raises(FinalDriverError, match="elsewhere"):
        credentials(kube.kubeconfig(tmp_path / "kubeconfig"), "elsewhere")
