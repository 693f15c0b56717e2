"""Ray clusters as processes and files; a small script plays `ray start`."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from dartjobs.core.queueing import Resources
from dartjobs.core.world import UNREACHABLE, Observation
from dartjobs.drivers.base import FinalDriverError, Held, Launch, TemporaryDriverError
from dartjobs.drivers.local import plan
from dartjobs.drivers.local.driver import LocalDriver
from dartjobs.drivers.local.folder import Folder
from dartjobs.drivers.local.keeper import TAG
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from tests.conformance.driver import new_attempt, take_down
from tests.fakes.polling import eventually, until

STAYS = """
echo "$@" >> started-heads
env > environment
(trap '' TERM; setsid sleep 600) &
setsid sh -c 'sleep 600 & exec sleep 600' &
touch up
wait
"""


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    settings = LocalSettings(tmp_path / "data", python=tmp_path / "bin" / "python", temp_root=tmp_path / "tmp")
    play(settings, STAYS)
    return settings


def play(settings: LocalSettings, script: str) -> None:
    settings.python.write_text(f"#!/bin/sh\n{script}")
    settings.python.chmod(0o755)


@pytest.fixture
async def driver(settings: LocalSettings) -> AsyncIterator[LocalDriver]:
    local = LocalDriver(settings)
    yield local
    for held in await local.inventory():
        with contextlib.suppress(OSError):
            await take_down(local, known(held.attempt_id))
    await local.close()


def known(attempt_id: str) -> Attempt:
    return new_attempt().model_copy(update={"id": attempt_id})


def launch(**spec: object) -> Launch:
    return Launch(new_attempt(), JobSpec.model_validate({"entrypoint": "true"} | spec), "token", "http://gateway")


async def up(driver: LocalDriver, settings: LocalSettings, **spec: object) -> tuple[Attempt, Path]:
    one = launch(**spec)
    await driver.create(one)
    folder = settings.data_dir / "clusters" / one.attempt.id
    until((folder / "cwd" / "up").exists)
    return one.attempt, folder


def look(driver: LocalDriver, attempt: Attempt) -> "asyncio.Task[Observation]":
    return asyncio.ensure_future(driver.observe(attempt, ask_ray=False))


def living(attempt: Attempt) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(TAG) == attempt.id:
                found.append(process)
    return found


def keeper_of(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "keeper.pid").read_text()))


async def test_the_keeper_is_no_child_of_the_platform(driver: LocalDriver, settings: LocalSettings) -> None:
    _, folder = await up(driver, settings)
    keeper = keeper_of(folder)
    assert keeper.ppid() != os.getpid()
    assert os.getsid(keeper.pid) != os.getsid(0)


async def test_deleting_ends_what_ignores_sigterm_and_what_hides_in_a_session_of_its_own(
    driver: LocalDriver, settings: LocalSettings
) -> None:
    attempt, folder = await up(driver, settings)
    assert len(living(attempt)) >= 5
    await take_down(driver, attempt)
    assert living(attempt) == []
    assert not folder.exists()
    assert list(settings.temp_root.iterdir()) == []
    assert await driver.inventory() == []


async def test_many_creates_start_one_head(driver: LocalDriver, settings: LocalSettings) -> None:
    one = launch()
    await asyncio.gather(*(driver.create(one) for _ in range(4)))
    folder = settings.data_dir / "clusters" / one.attempt.id
    until((folder / "cwd" / "up").exists)
    assert len((folder / "cwd" / "started-heads").read_text().splitlines()) == 1


async def test_a_create_that_was_interrupted_is_finished_by_the_next(
    driver: LocalDriver, settings: LocalSettings
) -> None:
    one = launch()
    folder = settings.data_dir / "clusters" / one.attempt.id
    (folder / "cwd").mkdir(parents=True)
    assert await look(driver, one.attempt) == Observation(leftovers=True)
    assert await driver.inventory() == [Held(one.attempt.id, None)]
    await driver.create(one)
    first = await look(driver, one.attempt)
    until((folder / "cwd" / "up").exists)
    keeper_of(folder).terminate()
    await eventually(lambda: look(driver, one.attempt), lambda seen: seen.head_uid is None)
    for left in ("started", "ended.json", "cwd/up"):  # as if the platform had died before the keeper came up
        (folder / left).unlink()
    assert (await look(driver, one.attempt)).cluster_uid is None
    await driver.create(one)
    assert await look(driver, one.attempt) == first


async def test_a_head_that_does_not_come_up_says_why(driver: LocalDriver, settings: LocalSettings) -> None:
    play(settings, "setsid sleep 600 & touch up; echo no room for the object store >&2; exit 3")
    attempt, _ = await up(driver, settings)
    seen = await eventually(lambda: look(driver, attempt), lambda one: one.failure)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.HEAD_FAILED
    assert "exit code 3" in seen.failure.message
    assert seen.failure.message.endswith("no room for the object store")
    assert seen.head_uid is None
    assert seen.cluster_uid is not None
    assert living(attempt) == []


async def test_an_interpreter_that_is_not_there_says_so(driver: LocalDriver, settings: LocalSettings) -> None:
    settings.python.unlink()
    one = launch()
    await driver.create(one)
    seen = await eventually(lambda: look(driver, one.attempt), lambda seen: seen.failure)
    assert seen.failure is not None
    assert "exit code 127" in seen.failure.message
    assert "not found" in seen.failure.message


async def test_a_head_that_is_killed_ends_everything_and_is_not_started_again(
    driver: LocalDriver, settings: LocalSettings
) -> None:
    attempt, folder = await up(driver, settings)
    keeper_of(folder).children()[0].kill()
    await eventually(lambda: look(driver, attempt), lambda seen: seen.head_uid is None)
    assert living(attempt) == []
    await driver.create(replace(launch(), attempt=attempt))
    assert (await look(driver, attempt)).head_uid is None


async def test_a_killed_keeper_is_replaced_by_the_driver(driver: LocalDriver, settings: LocalSettings) -> None:
    attempt, folder = await up(driver, settings)
    keeper_of(folder).kill()
    seen = await eventually(lambda: look(driver, attempt), lambda one: one.head_uid is None)
    assert living(attempt) == []
    assert (seen.cluster_uid is not None, seen.failure is not None, seen.leftovers) == (True, True, True)
    await driver.create(replace(launch(), attempt=attempt))
    assert (await look(driver, attempt)).head_uid is None


async def test_a_keeper_that_hangs_is_killed(settings: LocalSettings) -> None:
    driver = LocalDriver(replace(settings, stop_patience=0.2))
    attempt, folder = await up(driver, settings)
    keeper_of(folder).send_signal(signal.SIGSTOP)
    await take_down(driver, attempt)
    assert living(attempt) == []
    assert not folder.exists()
    await driver.close()


async def test_the_head_sees_its_own_world(
    driver: LocalDriver, settings: LocalSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:6379")
    monkeypatch.setenv("DARTJOBS_URL", "http://platform")
    monkeypatch.setenv("OTHER", "stays")
    attempt, folder = await up(driver, settings)
    seen = dict(line.partition("=")[::2] for line in (folder / "cwd" / "environment").read_text().splitlines())
    assert "RAY_ADDRESS" not in seen
    assert "DARTJOBS_URL" not in seen
    assert seen["OTHER"] == "stays"
    assert seen["PATH"].startswith(f"{settings.python.parent}:")
    assert seen["DARTJOBS_HEAD_UID"] == (await look(driver, attempt)).head_uid
    assert seen["DARTJOBS_GATEWAY_URL"] == "http://gateway"
    assert seen["DARTJOBS_TOKEN_FILE"] == str(folder / "token")
    assert (folder / "token").read_text() == "token"


async def test_secrets_are_for_their_owner_only(driver: LocalDriver, settings: LocalSettings) -> None:
    _, folder = await up(driver, settings)
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in settings.temp_root.iterdir()] == [0]
    for name in ("cluster.json", "token", "ray-token"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


async def test_a_folder_that_somebody_else_put_there_is_not_used(driver: LocalDriver, settings: LocalSettings) -> None:
    one = launch()
    plan.temp_dir(settings, one.attempt.id).mkdir()
    plan.temp_dir(settings, one.attempt.id).chmod(0o777)
    with pytest.raises(FinalDriverError, match="0700"):
        await driver.create(one)


async def test_two_clusters_share_no_port_and_no_gpu(settings: LocalSettings) -> None:
    driver = LocalDriver(replace(settings, gpu=3))
    try:
        spec = {"head": {"gpu": 1}, "workers": [{"gpu": 1}]}
        attempts = [(await up(driver, settings, **one))[0] for one in (spec, {"head": {"gpu": 1}})]
        plans = [json.loads((settings.data_dir / "clusters" / one.id / "cluster.json").read_text()) for one in attempts]
        ports = [one[name] for one in plans for name in ("port", "dashboard_port", "client_port")]
        assert len(set(ports)) == 6
        nodes = [node for one in plans for node in (one["head"], *one["workers"])]
        assert [node["environment"]["CUDA_VISIBLE_DEVICES"] for node in nodes] == ["0", "1", "2"]
        with pytest.raises(TemporaryDriverError, match="0 of 3 are free"):
            await driver.create(launch(head={"gpu": 1}))
    finally:
        for held in await driver.inventory():
            await take_down(driver, known(held.attempt_id))
        await driver.close()


async def test_a_damaged_record_is_no_evidence_of_anything(driver: LocalDriver, settings: LocalSettings) -> None:
    attempt, folder = await up(driver, settings)
    whole = (folder / "cluster.json").read_text()
    (folder / "cluster.json").write_text("{")
    assert await look(driver, attempt) == UNREACHABLE
    (folder / "cluster.json").write_text(whole)


async def test_its_identity_outlives_it(driver: LocalDriver, settings: LocalSettings) -> None:
    again = LocalDriver(settings)
    assert await again.identity() == await driver.identity()
    await again.close()


async def test_an_operator_may_give_less_than_the_machine_has(settings: LocalSettings) -> None:
    driver = LocalDriver(replace(settings, cpu=Decimal("1.5"), memory=2**30, gpu=1))
    assert (await driver.capacity()).total == Resources(Decimal("1.5"), 2**30, 1)
    await driver.close()


def test_two_who_look_at_a_dead_keeper_both_see_that_it_is_dead(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not folder.is_kept
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert folder.is_kept
