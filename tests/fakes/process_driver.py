"""A cluster of bare processes: the real runner and gateway, with heads that cost a fork (`tests.fakes.heads`).

It outlives the Sync Service and is adopted by the next one, as the local driver's Ray clusters are. Jobs have no
Ray and no package: it is for many jobs, and for killing everything around them.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Failure, Observation, RayJob, RayJobStatus
from dartjobs.drivers.base import HeadChangedError, Held, Launch, Submission, TemporaryDriverError
from dartjobs.drivers.local.folder import Folder, folders, write_private
from dartjobs.drivers.submission import job_request
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import GIBIBYTE
from tests.fakes.heads import tell

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 10.0
_PRIVATE = {"DARTJOBS_DATABASE_URL", "DARTJOBS_OBJECT_STORE_URL", "DARTJOBS_SECRET_FILE"}


class ProcessDriver:
    """Speaks `drivers.base.Driver`."""

    def __init__(self, root: Path, cpu: int = 64) -> None:
        self._root = root
        self._clusters = root / "clusters"
        self._cpu = cpu
        self._clusters.mkdir(parents=True, exist_ok=True)

    async def identity(self) -> str:
        return f"processes-{sha256(str(self._root).encode()).hexdigest()[:16]}"

    async def capacity(self) -> Capacity:
        return Capacity(Resources(Decimal(self._cpu), self._cpu * GIBIBYTE))

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        try:
            return self._look(attempt, ask_ray=ask_ray)
        except OSError:
            return UNREACHABLE

    async def create(self, launch: Launch) -> None:
        folder = self._folder(launch.attempt)
        if not (folder.path / "plan.json").exists():
            (folder.path / "cwd").mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(folder.path / "token", launch.token)
            plan = {
                "cluster_uid": str(uuid.uuid4()),
                "head_uid": str(uuid.uuid4()),
                "gateway_url": launch.gateway_url,
            }
            write_private(folder.path / "plan.json", json.dumps(plan))
        give_up = time.monotonic() + _PATIENCE
        while not (folder.path / "up").exists():
            if folder.started and not folder.is_kept:
                return  # it died as it was born; `observe` says so
            if not tell(self._root / "nursery.fifo", launch.attempt.id):
                await self._open_nursery()
            await _until((folder.path / "up").exists, 1.0)
            if time.monotonic() > give_up:
                msg = "no head came up"
                raise TemporaryDriverError(msg)

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        return (self._living(attempt).path / ref).exists()

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        data = b"".join([chunk async for chunk in chunks])
        if len(data) != size:
            msg = f"{ref} has {len(data)} bytes, not {size}"
            raise TemporaryDriverError(msg)
        (self._living(attempt).path / ref).write_bytes(data)

    async def submit(self, submission: Submission) -> None:
        folder = self._living(submission.attempt, submission.intent.head_uid)
        submission_id = submission.intent.submission_id
        status = folder.path / f"{submission_id}.status"
        if status.exists():
            return
        body = job_request(submission, ["runner"])
        write_private(folder.path / f"{submission_id}.json", json.dumps(body["runtime_env"]["env_vars"]))
        if not tell(folder.path / "fifo", f"submit {submission_id}") or not await _until(status.exists, _PATIENCE):
            msg = "the head did not take it"
            raise TemporaryDriverError(msg)

    async def stop_driver(self, attempt: Attempt) -> None:
        folder, intent = self._living(attempt), attempt.submit_intent
        if intent is not None:
            tell(folder.path / "fifo", f"stop {intent.submission_id}")

    async def kill_head(self, attempt: Attempt) -> None:
        folder, intent = self._folder(attempt), attempt.submit_intent
        plan = _json(folder.path / "plan.json")
        if intent is not None and plan is not None and plan["head_uid"] == intent.head_uid:
            folder.end(_PATIENCE)

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        folder = self._folder(attempt)
        if cluster_uid is not None and _held(folder).cluster_uid != cluster_uid:
            return
        with folder.locked() as mine:
            if mine:
                shutil.rmtree(folder.path, ignore_errors=True)
        if not mine:
            folder.end(_PATIENCE)

    async def inventory(self) -> list[Held]:
        return [_held(folder) for folder in folders(self._clusters)]

    async def close(self) -> None:
        """Nothing is open."""

    def _look(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        folder = self._folder(attempt)
        plan = _json(folder.path / "plan.json")
        if plan is None or not (folder.path / "up").exists():
            return Observation(leftovers=folder.exists)
        if not folder.is_kept:
            failure = None if folder.ended() else Failure(Reason.HEAD_FAILED, "The head was killed.")
            return Observation(cluster_uid=plan["cluster_uid"], failure=failure, leftovers=True)
        intent = attempt.submit_intent
        ray_job = None
        if ask_ray and intent is not None:
            told = _json(folder.path / f"{intent.submission_id}.status") or {"status": "ABSENT", "exit_code": None}
            ray_job = RayJob(RayJobStatus(told["status"]), exit_code=told["exit_code"])
        return Observation(
            cluster_uid=plan["cluster_uid"],
            head_uid=plan["head_uid"],
            head_answers=intent is None or ask_ray,
            ray_job=ray_job,
            leftovers=True,
        )

    def _living(self, attempt: Attempt, head_uid: str | None = None) -> Folder:
        folder = self._folder(attempt)
        plan = _json(folder.path / "plan.json")
        if plan is None or not folder.is_kept or head_uid not in {None, plan["head_uid"]}:
            msg = f"the head of {attempt.id} is another one or gone"
            raise HeadChangedError(msg)
        return folder

    def _folder(self, attempt: Attempt) -> Folder:
        return Folder(self._clusters / attempt.id)

    async def _open_nursery(self) -> None:
        await asyncio.to_thread(self._start_nursery)
        await _until((self._root / "nursery.fifo").exists, _PATIENCE)

    def _start_nursery(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
        with (self._root / "nursery.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.fakes.heads", str(self._root)]
            subprocess.run(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True
            )


def _held(folder: Folder) -> Held:
    plan = _json(folder.path / "plan.json")
    if plan is None:
        return Held(folder.path.name)
    lives = (folder.path / "up").exists() and folder.is_kept
    return Held(folder.path.name, plan["cluster_uid"], plan["head_uid"] if lives else None)


async def _until(condition: Callable[[], object], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.002)
    return True


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found
