from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from dartjobs.api.app import create_app
from dartjobs.api.settings import ApiSettings
from dartjobs.services.platform import Platform
from tests.fakes.platform import platform_at


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_at(tmp_path) as one:
        yield one


@pytest.fixture
async def api(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(platform, ApiSettings(body_limit=10_000)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7878") as client:
        yield client
