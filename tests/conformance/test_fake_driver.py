"""The fake is a driver like any other."""

import pytest

from dartjobs.drivers.base import Driver
from tests.conformance.driver import DriverSuite, Head, bring_up
from tests.fakes.driver import FakeDriver


class TestFakeDriver(DriverSuite):
    @pytest.fixture
    def driver(self) -> Driver:
        return FakeDriver(lively=True)

    @pytest.fixture
    def gateway_url(self) -> str:
        return "http://127.0.0.1:1"

    @pytest.fixture
    async def head(self, driver: Driver, gateway_url: str) -> Head:
        return await bring_up(driver, gateway_url)
