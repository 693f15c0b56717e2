from collections.abc import Iterator

import pytest

from dartjobs import Client
from tests.fakes.api import FakeApi
from tests.fakes.server import Server


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def server(api: FakeApi) -> Iterator[Server]:
    with Server(api.app) as one:
        yield one


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, user="ada") as one:
        yield one
