"""Whatever a client sends, the API answers as its own OpenAPI document says, and never with a fault of the server."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import BaseSchema, Case
from schemathesis.checks import CHECKS

from dartjobs.api.app import create_app
from dartjobs.api.settings import ApiSettings
from dartjobs.controller.queued import Queue
from dartjobs.models.spec import JobSpec
from dartjobs.services import jobs, packages, submit
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.store import leases
from tests.fakes.platform import platform_at
from tests.fakes.polling import eventually
from tests.fakes.zips import pieces, ref_of, zipped

LEFT_OUT = {
    "negative_data_rejection": "pydantic takes what can only mean one thing, such as the text '2' for a number",
    "positive_data_acceptance": "what is right in form may be impossible: a package that is absent, a stop of nothing",
    "missing_required_header": "no header is required but those of uploads, whose absence is refused with 422",
}
"""Checks of schemathesis that are not made, and why."""
ALSO_IDS = ("/jobs/batch", "/jobs/stop")
"""Another method on these paths is that of `/jobs/{job_id}`, with an id that is none: 422, not 405."""
STREAMS = ("/watch", "/logs")
"""They end with their job: only one that is over is asked for."""
PACKAGE = zipped(a=b"1")


@dataclass
class World:
    """What there is."""

    url: str = ""
    over: str = ""
    """A job that is TERMINATED, with a log."""
    waiting: str = ""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An API server in this process, on a platform with some jobs."""
    found: queue.Queue[tuple[World, uvicorn.Server]] = queue.Queue()
    thread = threading.Thread(target=asyncio.run, args=(_serve(tmp_path_factory.mktemp("api"), found),))
    thread.start()
    known, server = found.get(timeout=60)
    yield known
    server.should_exit = True
    thread.join(60)


async def _serve(folder: Path, found: "queue.Queue[tuple[World, uvicorn.Server]]") -> None:
    async with platform_at(folder) as platform:
        known = await _filled(platform)
        app = create_app(platform, ApiSettings(body_limit=100_000, package_limit=100_000))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", http="h11"))
        serving = asyncio.create_task(server.serve())
        await eventually(partial(asyncio.sleep, 0), lambda _: server.started)
        known.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        found.put((known, server))
        await serving


async def _filled(platform: Platform) -> World:
    await packages.put(platform, "team", ref_of(PACKAGE), pieces(PACKAGE), limit=1_000)
    spec = JobSpec.model_validate({"entrypoint": "true", "labels": {"a": "b"}})
    over = await submit.submit(platform, "team", "ann", spec)
    waiting = await submit.submit(platform, "team", "bob", spec)
    await platform.logs.append(over.attempt.id, STREAM, 0, b"one\ntwo\n")
    await jobs.stop(platform, "team", over.id, by="ann", reason="")
    take = partial(leases.acquire, name=leases.CONTROLLER, holder="test", duration=timedelta(minutes=1))
    lease = await platform.database.write(take)
    assert lease is not None
    await Queue(platform, lease).look()
    return World(over=over.id, waiting=waiting.id)


@pytest.fixture
def document(world: World) -> BaseSchema:
    """The API's own description; half of all ids and names in it are made to be those of something."""
    schema = schemathesis.openapi.from_url(f"{world.url}/openapi.json")

    @schema.hook
    def map_path_parameters(
        context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        if path_parameters is None:
            return None
        given = dict(path_parameters)
        is_stream = context.operation is not None and context.operation.path.endswith(STREAMS)
        if "job_id" in given and (is_stream or sum(str(given["job_id"]).encode()) % 2):
            there = [world.over] if is_stream else [world.over, world.waiting]
            given["job_id"] = there[sum(str(given["job_id"]).encode()) // 2 % len(there)]
        if "ref" in given and sum(str(given["ref"]).encode()) % 2:
            given["ref"] = ref_of(PACKAGE)
        if "namespace" in given:
            given["namespace"] = "team"
        return given

    return schema


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(case: Case[Any]) -> None:
    response = case.call()
    names = {*LEFT_OUT, *(["unsupported_method"] if case.operation.path.endswith(ALSO_IDS) else [])}
    left_out: list[Any] = [check for check in CHECKS.get_all() if check.__name__ in names]
    case.validate_response(response, excluded_checks=left_out)
