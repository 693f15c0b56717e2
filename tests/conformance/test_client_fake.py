"""The API in memory answers a client as the real one does."""

from collections.abc import Iterator

import pytest

from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, ResourceState
from tests.conformance.client import ClientSuite, World
from tests.fakes.api import FakeApi
from tests.fakes.server import Server


class FakeWorld(World):
    def __init__(self, api: FakeApi, url: str) -> None:
        self.url = url
        self._api = api

    def claim(self, job_id: str) -> None:
        self._api.move(job_id, ResourceState.CREATING, JobState.WAITING, Reason.CLAIMED, cluster="local")

    def finish(self, job_id: str) -> None:
        self._api.end(job_id)

    def write(self, job_id: str, data: bytes) -> None:
        self._api.write(job_id, data)

    def add_cluster(self, name: str) -> None:
        self._api.add_cluster(name)


class TestTheApiInMemory(ClientSuite):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        api = FakeApi()
        with Server(api.app) as server:
            yield FakeWorld(api, server.url)
