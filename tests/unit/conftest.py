from collections.abc import Iterator

import pytest

from tests.fakes.api import FakeApi
from tests.fakes.server import Server


@pytest.fixture
def api() -> FakeApi:
    """An API server's state, for tests of its clients."""
    return FakeApi()


@pytest.fixture
def server(api: FakeApi) -> Iterator[Server]:
    """That API on a port of this machine."""
    with Server(api.app) as one:
        yield one
