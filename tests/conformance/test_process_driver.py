"""The driver of bare processes is a driver like any other."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from dartjobs.core.world import RayJobStatus
from dartjobs.drivers.base import Driver
from tests.conformance.driver import FOR_EVER, DriverSuite, Head, bring_up, take_down, until_status
from tests.fakes.gateway import FakeGateway
from tests.fakes.polling import eventually, until
from tests.fakes.process_driver import ProcessDriver


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture
def gateway_url(gateway: FakeGateway) -> str:
    return gateway.url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture
def driver(folder: Path) -> Driver:
    return ProcessDriver(folder)


@pytest.fixture
async def head(driver: Driver, gateway_url: str) -> AsyncIterator[Head]:
    up = await bring_up(driver, gateway_url)
    yield up
    await take_down(driver, up.attempt)


class TestProcessDriver(DriverSuite):
    pass


async def test_a_head_is_found_again_by_another_driver(driver: Driver, head: Head, folder: Path) -> None:
    submission = head.submission(FOR_EVER)
    await driver.submit(submission)
    other = ProcessDriver(folder)
    await until_status(other, submission, RayJobStatus.RUNNING)
    await other.stop_driver(submission.attempt)
    await until_status(driver, submission, RayJobStatus.STOPPED)


async def test_a_head_that_is_killed_takes_its_driver_along(
    driver: Driver, head: Head, folder: Path, gateway: FakeGateway
) -> None:
    submission = head.submission(FOR_EVER)
    await driver.submit(submission)
    gateway.wait_for(lambda: gateway.starts)
    os.kill(int((folder / "clusters" / head.attempt.id / "keeper.pid").read_text()), signal.SIGKILL)
    await eventually(lambda: driver.observe(submission.attempt, ask_ray=True), lambda seen: seen.head_uid is None)
    until(lambda: not psutil.pid_exists(gateway.starts[0]["pid"]))
