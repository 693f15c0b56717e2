"""Each part as a process of its own: what it says when it cannot start, and how it ends."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dartjobs import Client, JobSpec
from tests.fakes.parts import DARTJOBS, Installation, installation_at
from tests.fakes.polling import until


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installation_at(tmp_path, f"sqlite+aiosqlite:///{tmp_path}/dartjobs.db") as made:
        yield made


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DARTJOBS, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_database_that_is_not_migrated_is_told_with_the_command_that_does_it(installation: Installation) -> None:
    refused = run(installation.environment, "server", "api", "--port", "0")
    assert (refused.returncode, refused.stdout) == (65, "")
    assert refused.stderr.splitlines()[-1].endswith("Run: dartjobs db upgrade")
    assert run(installation.environment, "db", "current").returncode == 65
    assert run(installation.environment, "db", "upgrade").stdout.startswith("empty -> ")
    current = run(installation.environment, "db", "current")
    again = run(installation.environment, "db", "upgrade")
    assert current.returncode == again.returncode == 0
    assert again.stdout == f"{current.stdout.strip()} -> {current.stdout}"


@pytest.mark.parametrize(
    ("change", "command", "told"),
    [
        ({"DARTJOBS_DATABASE_URL": None}, ("db", "current"), "DARTJOBS_DATABASE_URL"),
        ({"DARTJOBS_OBJECT_STORE_URL": None}, ("server", "controller"), "DARTJOBS_OBJECT_STORE_URL"),
        ({"DARTJOBS_BUS_URL": "smoke:"}, ("server", "controller"), "DARTJOBS_BUS_URL=smoke:"),
        ({"DARTJOBS_SECRET_FILE": None}, ("server", "gateway", "--port", "0"), "openssl rand -hex 32"),
        ({"DARTJOBS_LOCAL_DATA_DIR": None}, ("server", "sync"), "--data-dir"),
        ({}, ("server", "sync", "--driver", "kuberay"), "no credentials for Kubernetes"),
        ({"DARTJOBS_API_PORT": "many"}, ("server", "api"), "DARTJOBS_API_PORT"),
        ({}, ("server", "api", "--host", "0.0.0.0"), "--allow-unauthenticated"),  # noqa: S104 - refused
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple | dict) else None,
)
def test_what_is_wrong_with_the_configuration_is_named(
    installation: Installation, change: dict[str, str | None], command: tuple[str, ...], told: str
) -> None:
    environment = {**installation.environment, **{name: value for name, value in change.items() if value}}
    for name in [name for name, value in change.items() if value is None]:
        del environment[name]
    refused = run(environment, *command)
    assert refused.returncode == 65
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_every_part_ends_in_good_order_on_sigterm(installation: Installation) -> None:
    installation.upgrade()
    replicas = [installation.api(), installation.api()]
    gateway = installation.gateway()
    parts = [*replicas, gateway, installation.part("server", "sync"), installation.part("server", "controller")]
    for part in parts:
        part.start()
    for part in (*replicas, gateway):
        part.until_it_serves()
    with Client(replicas[0].url) as one, Client(replicas[1].url) as other:
        handle = one.submit(JobSpec.model_validate({"entrypoint": "true", "head": {"cpu": 1, "memory": "500Ti"}}))
        until(lambda: other.get(handle.id).finished_at is not None)
        assert other.get(handle.id).attempt.reason == "EXCEEDS_CAPACITY"
    assert [part.stop() for part in parts] == [0] * len(parts)


def test_a_standby_takes_over_at_once_from_a_sync_service_that_is_stopped(installation: Installation) -> None:
    installation.upgrade()
    installation.environment["DARTJOBS_SYNC_LEASE"] = "PT10M"
    installation.environment["DARTJOBS_SYNC_HEARTBEAT"] = "PT0.2S"
    first, second = installation.part("server", "sync"), installation.part("server", "sync")
    first.start()
    first.until_it_says("holds the lease of local at epoch 1")
    second.start()
    assert first.stop() == 0
    second.until_it_says("holds the lease of local at epoch 2")
    assert second.stop() == 0


def test_logs_may_be_json(installation: Installation) -> None:
    installation.upgrade()
    part = installation.part("server", "api", "--port", "0", "--log-format", "json", "--log-level", "debug")
    part.start()
    part.until_it_says("serving on")
    assert part.stop() == 0
    lines = [json.loads(line) for line in part.said.splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} <= {"debug", "info"}
    assert any(line["message"].startswith("serving on http://127.0.0.1:") for line in lines)


def test_a_port_that_is_taken_is_told(installation: Installation) -> None:
    installation.upgrade()
    part = installation.api()
    part.start()
    part.until_it_serves()
    port = str(httpx.URL(part.url).port)
    refused = run({**os.environ, **installation.environment}, "server", "api", "--port", port)
    assert (refused.returncode, f"Port {port} on 127.0.0.1 cannot be bound" in refused.stderr) == (65, True)
    assert part.stop() == 0
