"""A cluster that is this machine: every Ray cluster is real, and lives on when the platform ends.

Files say what was meant, a lock says what lives (`keeper`). Nothing is remembered in this process but connections.
"""

import asyncio
import json
import os
import secrets
import subprocess
import threading
import uuid
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx

from dartjobs.core.queueing import Capacity, demand
from dartjobs.core.world import UNREACHABLE, Failure, Observation
from dartjobs.drivers.base import (
    FinalDriverError,
    HeadChangedError,
    Held,
    Launch,
    Submission,
    TemporaryDriverError,
)
from dartjobs.drivers.local import machine, plan
from dartjobs.drivers.local.folder import Folder, Record, folders, write_private
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.drivers.ray_jobs import RayJobs
from dartjobs.drivers.runner import RUNNER
from dartjobs.drivers.submission import check_package_size, job_request, package_name
from dartjobs.models.job import Attempt
from dartjobs.models.reason import Reason
from dartjobs.models.spec import DEFAULT_PROFILE

_KEEPER_PATIENCE = 30.0
T = TypeVar("T")


class LocalDriver:
    """Implements `dartjobs.drivers.base.Driver`."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._root = settings.data_dir.resolve() / "clusters"
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None))
        self._planning = threading.Lock()

    async def identity(self) -> str:
        """A nonce, made with the data folder."""
        return await _effect(self._identity)

    async def capacity(self) -> Capacity:
        """What the settings say, or the machine has."""
        return machine.capacity(self._settings)

    async def observe(self, attempt: Attempt, *, ask_ray: bool) -> Observation:
        """Files and the lock; the head itself is asked only before the submit intent, or with `ask_ray`.

        A head lives as long as its keeper does, which outlives every process of the Ray cluster. Where the keeper was
        killed, what it left is ended here, and seen as gone only when it is.
        """
        try:
            seen, record = await asyncio.to_thread(self._look, attempt.id)
        except OSError:
            return UNREACHABLE
        if record is None or seen.head_uid is None:
            return seen
        if attempt.submit_intent is None:
            return replace(seen, head_answers=await self._jobs(record).answers())
        if not ask_ray:
            return seen
        try:
            ray_job = await self._jobs(record).job(attempt.submit_intent.submission_id)
        except TemporaryDriverError:
            return seen
        return replace(seen, head_answers=True, ray_job=ray_job)

    async def create(self, launch: Launch) -> None:
        """Write down what is to be started, then start a keeper that starts it."""
        await _effect(lambda: self._create(launch))

    async def has_package(self, attempt: Attempt, ref: str) -> bool:
        """Whether the head's package store has it."""
        return await (await self._living(attempt)).has_package(package_name(ref))

    async def put_package(self, attempt: Attempt, ref: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Put it into the head's package store.

        Raises:
            PackageRefusedError: the head does not take it.
        """
        check_package_size(size)
        await (await self._living(attempt)).put_package(package_name(ref), chunks, size)

    async def submit(self, submission: Submission) -> None:
        """Submit the runner to the head that the intent names.

        Raises:
            HeadChangedError: that head does not live.
        """
        jobs = await self._living(submission.attempt, submission.intent.head_uid)
        await jobs.submit(job_request(submission, [str(self._settings.python), str(RUNNER)]))

    async def stop_driver(self, attempt: Attempt) -> None:
        """Ask Ray to stop the driver of the submit intent."""
        if attempt.submit_intent is not None:
            await (await self._living(attempt)).stop(attempt.submit_intent.submission_id)

    async def kill_head(self, attempt: Attempt) -> None:
        """End everything of the Ray cluster, if its head is the one of the submit intent; its files stay."""
        intent, folder = attempt.submit_intent, self._folder(attempt.id)
        record = await _effect(folder.record)
        if intent is not None and record is not None and record.head_uid == intent.head_uid:
            await _effect(lambda: folder.end(self._settings.stop_patience))

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        """End everything of the Ray cluster; when nothing lives, remove its files."""
        await _effect(lambda: self._delete(attempt.id, cluster_uid))

    async def inventory(self) -> list[Held]:
        """Every folder, and whether its keeper lives."""
        return await _effect(lambda: [_held(folder) for folder in folders(self._root)])

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _folder(self, attempt_id: str) -> Folder:
        return Folder(self._root / attempt_id)

    def _jobs(self, record: Record) -> RayJobs:
        return RayJobs(self._http, f"http://127.0.0.1:{record.dashboard_port}", record.ray_token)

    async def _living(self, attempt: Attempt, head_uid: str | None = None) -> RayJobs:
        seen, record = await _effect(lambda: self._look(attempt.id))
        if record is None or seen.head_uid is None or (head_uid is not None and seen.head_uid != head_uid):
            msg = f"the head of {attempt.id} is {seen.head_uid or 'gone'}"
            raise HeadChangedError(msg)
        return self._jobs(record)

    def _identity(self) -> str:
        path = self._settings.data_dir / "machine-id"
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, str(uuid.uuid4()))
        return path.read_text().strip()

    def _look(self, attempt_id: str) -> tuple[Observation, Record | None]:
        folder = self._folder(attempt_id)
        kept, record = folder.is_kept, folder.record()
        if record is None or not (kept or folder.started):
            return Observation(leftovers=folder.exists), None
        ended = None if kept else folder.ended()
        if not kept and ended is None and machine.end_tagged(attempt_id):
            folder.record_lost_keeper()
            ended = folder.ended()
        if ended is None:
            return Observation(cluster_uid=record.cluster_uid, head_uid=record.head_uid, leftovers=True), record
        failure = None if ended["asked"] else _failure(ended["head_exit_code"], folder.last_words())
        return Observation(cluster_uid=record.cluster_uid, failure=failure, leftovers=True), record

    def _create(self, launch: Launch) -> None:
        if launch.spec.profile != DEFAULT_PROFILE:
            msg = f"This machine has no profile {launch.spec.profile!r}: profiles are of Kubernetes."
            raise FinalDriverError(msg)
        folder = self._folder(launch.attempt.id)
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._planning:
            if folder.record() is None:
                self._plan(launch, folder)
        if folder.started:
            return
        with (folder.path / "keeper.log").open("wb") as log:
            keeper = subprocess.run(
                plan.keeper_command(folder.path),
                env=plan.keeper_environment(self._settings, launch.attempt.id, os.environ),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_KEEPER_PATIENCE,
                check=False,
            )
        if keeper.returncode:
            msg = f"the keeper did not start: {(folder.path / 'keeper.log').read_text(errors='replace')[-2_000:]}"
            raise TemporaryDriverError(msg)

    def _plan(self, launch: Launch, folder: Folder) -> None:
        """Everything that `cluster.json` names is there before it is."""
        (folder.path / "cwd").mkdir(mode=0o700, exist_ok=True)
        _make_own(plan.temp_dir(self._settings, launch.attempt.id))
        write_private(folder.path / "token", launch.token)
        ray_token = secrets.token_hex(32)
        write_private(folder.path / "ray-token", ray_token)
        others = [record for record in (one.record() for one in folders(self._root)) if record is not None]
        ports = machine.free_ports(
            {port for record in others for port in record.ports}, zlib.crc32(launch.attempt.id.encode())
        )
        total = machine.gpu_count(self._settings)
        gpus = machine.free_gpus(
            total, {number for record in others for number in record.gpus}, demand(launch.spec).gpu
        )
        content = plan.cluster(
            self._settings,
            launch,
            uids=(str(uuid.uuid4()), str(uuid.uuid4())),
            ports=ports,
            gpus=gpus if total else None,
        )
        write_private(folder.path / "cluster.json", json.dumps(content | {"ray_token": ray_token}, indent=1))

    def _delete(self, attempt_id: str, cluster_uid: str | None) -> None:
        folder = self._folder(attempt_id)
        if cluster_uid is not None and _held(folder).cluster_uid != cluster_uid:
            return
        with folder.locked() as mine:
            if not mine:
                folder.end(self._settings.stop_patience)
            elif machine.end_tagged(attempt_id):
                Folder(plan.temp_dir(self._settings, attempt_id)).remove()
                folder.remove()


def _failure(code: int | None, words: str) -> Failure:
    how = "with its keeper, which was killed" if code is None else f"with exit code {code}"
    return Failure(Reason.HEAD_FAILED, f"The Ray head ended {how}. It said last:\n{words}")


def _held(folder: Folder) -> Held:
    record = folder.record()
    if record is None:
        return Held(folder.path.name)
    return Held(folder.path.name, record.cluster_uid, record.head_uid if folder.is_kept else None)


def _make_own(path: Path) -> None:
    """A folder of ours under a root that everybody may write to."""
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        msg = f"{path} is not this user's own folder of mode 0700: remove it"
        raise FinalDriverError(msg)


async def _effect(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; the machine's refusals are worth another try."""
    try:
        return await asyncio.to_thread(work)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryDriverError(str(error)) from error
