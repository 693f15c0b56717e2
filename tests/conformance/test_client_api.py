"""The client against the real API, on SQLite: no fake stands between them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from dartjobs.api.app import create_app
from dartjobs.api.settings import ApiSettings
from dartjobs.core.queueing import Capacity, Resources
from dartjobs.models.reason import Reason
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, clusters, evidence
from dartjobs.store.leases import Lease
from tests.conformance.client import ClientSuite, World
from tests.fakes.platform import platform_at, take_lease
from tests.fakes.server import Server
from tests.unit.services.test_watch import move

_R = TypeVar("_R")


class _Api:
    """The real application; its platform is opened on the server's own event loop, with the first request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = AsyncExitStack()
        self._app: ASGIApp | None = None
        self._lock = asyncio.Lock()
        self.platform: Platform | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self.app())(scope, receive, send)

    async def app(self) -> ASGIApp:
        async with self._lock:
            if self._app is None:
                self.platform = await self._opened.enter_async_context(platform_at(self._folder))
                self._app = create_app(self.platform, ApiSettings())
            return self._app

    async def close(self) -> None:
        await self._opened.aclose()


class RealWorld(World):
    def __init__(self, server: Server, api: _Api) -> None:
        self.url = server.url
        self._server = server
        self._api = api
        self._lease: Lease | None = None

    def claim(self, job_id: str) -> None:
        self._do(lambda platform: self._claim(platform, job_id))

    def finish(self, job_id: str) -> None:
        over = Pair(ResourceState.TERMINATING, JobState.SUCCEEDED)
        self._do(lambda platform: self._move(platform, job_id, over))

    def write(self, job_id: str, data: bytes) -> None:
        self._do(lambda platform: self._write(platform, f"{job_id}-1", data))

    def add_cluster(self, name: str) -> None:
        total = Resources(Decimal(8), 16 * 2**30, 1)
        registration = clusters.Registration(name, f"{name}-1", Capacity(total), {"zone": "a"})
        self._do(lambda platform: platform.database.write(partial(clusters.register, registration=registration)))
        lease = self._do(lambda platform: take_lease(platform, name))
        self._lease = lease if name == "local" else self._lease

    def _do(self, act: Callable[[Platform], Coroutine[Any, Any, _R]]) -> _R:
        async def run() -> _R:
            await self._api.app()
            assert self._api.platform is not None
            return await act(self._api.platform)

        return self._server.run(run())

    async def _claim(self, platform: Platform, job_id: str) -> None:
        if self._lease is None:
            self._lease = await take_lease(platform)
        claim = partial(attempts.claim, lease=self._lease, attempt_id=f"{job_id}-1", actor="test")
        await platform.database.write(claim)

    async def _move(self, platform: Platform, job_id: str, target: Pair) -> None:
        assert self._lease is not None
        await move(platform, self._lease, f"{job_id}-1", target, Reason.COMPLETED)

    async def _write(self, platform: Platform, attempt_id: str, data: bytes) -> None:
        await platform.logs.append(attempt_id, STREAM, 0, data)
        body = {"bytes": len(data)}
        await platform.database.write(partial(evidence.report, attempt_id=attempt_id, kind="log_end", body=body))


class TestTheRealApi(ClientSuite):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        place = tmp_path / "database"
        place.mkdir()
        api = _Api(place)
        with Server(api) as server:
            yield RealWorld(server, api)
            server.run(api.close())
