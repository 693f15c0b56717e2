from collections.abc import Iterator

import pytest

from dartjobs import Client
from tests.fakes.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, user="ada") as one:
        yield one
