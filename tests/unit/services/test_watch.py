"""A watch shows every move once, also those of an attempt that is cleaned up while the next one begins."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from dartjobs.blobs.stores import open_store
from dartjobs.bus.base import job_topic
from dartjobs.bus.memory import MemoryBus
from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.problem import InvalidRequestError, NotFoundError
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.services.watch import Moved, Until, parse_event_id
from dartjobs.store import attempts
from dartjobs.store.database import Database, T, Work
from dartjobs.store.leases import Lease
from dartjobs.store.settings import DatabaseSettings
from tests.fakes.engines import url_on
from tests.fakes.platform import parts_of, platform_at, take_lease

SPEC = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})


async def move(platform: Platform, lease: Lease, attempt_id: str, target: Pair, reason: Reason) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt_id))
    assert loaded is not None
    record = partial(
        attempts.record_move, lease=lease, view=loaded.view(UNREACHABLE), move=Move(target, reason), actor="test"
    )
    await platform.database.write(record)


async def test_no_move_is_shown_twice_or_missed_over_a_retry_and_a_resume(tmp_path: Path) -> None:
    async with platform_at(tmp_path) as platform:
        job = await service.submit(platform, "team", "ann", SPEC)
        lease = await take_lease(platform)
        claim = partial(attempts.claim, lease=lease, actor="test")
        await platform.database.write(partial(claim, attempt_id=f"{job.id}-1"))
        await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.HEAD_LOST)
        seen: list[tuple[int, int]] = []
        last = ""
        async with asyncio.timeout(20):
            async for change in platform.watches.watch("team", job.id, None, Until.TERMINATED):
                if isinstance(change, Moved):
                    last = change.id
                    seen.append((change.move.attempt, change.move.version))
                elif change is not None:
                    break
        assert seen == [(1, 1), (1, 2), (1, 3), (2, 1)]
        assert last == "2.1,1.3"
        await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.DELETED)
        await platform.database.write(partial(claim, attempt_id=f"{job.id}-2"))
        await move(platform, lease, f"{job.id}-2", Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.HEAD_LOST)
        async with asyncio.timeout(20):
            resumed = [
                (change.move.attempt, change.move.version)
                async for change in platform.watches.watch("team", job.id, last, Until.TERMINATED)
                if isinstance(change, Moved)
            ]
        assert sorted(resumed) == [(1, 4), (2, 2), (2, 3)]


async def test_nothing_is_left_only_when_every_attempt_is_cleaned_up(tmp_path: Path) -> None:
    async with platform_at(tmp_path) as platform:
        job = await service.submit(platform, "team", "ann", SPEC)
        lease = await take_lease(platform)
        claim = partial(attempts.claim, lease=lease, actor="test")
        await platform.database.write(partial(claim, attempt_id=f"{job.id}-1"))
        await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATING, JobState.FAILED), Reason.HEAD_LOST)
        await platform.database.write(partial(claim, attempt_id=f"{job.id}-2"))
        await move(platform, lease, f"{job.id}-2", Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.HEAD_LOST)
        seen: list[tuple[int, int]] = []
        async with asyncio.timeout(20):
            async for change in platform.watches.watch("team", job.id, None, Until.TERMINATED):
                if isinstance(change, Moved):
                    seen.append((change.move.attempt, change.move.version))
                elif change is not None:
                    over = Pair(ResourceState.TERMINATED, JobState.FAILED)
                    await move(platform, lease, f"{job.id}-1", over, Reason.DELETED)
                    await platform.bus.publish(job_topic(job.id))
        assert seen[-1] == (1, 4)


class CountingDatabase(Database):
    """A database that counts how often it is read."""

    reads = 0

    async def read(self, work: Work[T]) -> T:
        self.reads += 1
        return await super().read(work)


async def test_many_watchers_share_what_is_read(tmp_path: Path) -> None:
    async with url_on("sqlite", tmp_path) as url:
        database = CountingDatabase(DatabaseSettings(url=SecretStr(url)))
        platform = parts_of(database, MemoryBus(), open_store("memory://"))
        job = await service.submit(platform, "team", "ann", SPEC)
        lease = await take_lease(platform)
        await platform.database.write(partial(attempts.claim, lease=lease, attempt_id=f"{job.id}-1", actor="test"))
        before = database.reads

        async def watched() -> list[str]:
            changes = platform.watches.watch("team", job.id, None, Until.TERMINATED)
            return [change.id async for change in changes if isinstance(change, Moved)]

        watchers = [asyncio.create_task(watched()) for _ in range(50)]
        await asyncio.sleep(0)
        await service.stop(platform, "team", job.id, by="ann", reason="")
        await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATED, JobState.STOPPED), Reason.USER_STOP)
        await platform.bus.publish(job_topic(job.id))
        async with asyncio.timeout(30):
            seen = await asyncio.gather(*watchers)
        assert seen == [["1.1", "1.2", "1.3"]] * 50
        assert database.reads - before < 50
        await database.close()


async def test_a_watch_ends_with_an_error_for_a_job_that_is_not_there(tmp_path: Path) -> None:
    async with platform_at(tmp_path) as platform:
        with pytest.raises(NotFoundError):
            await anext(platform.watches.watch("team", "job-" + "0" * 26, None, Until.FINISHED))


@pytest.mark.parametrize("text", ["x", "1", "1.", "1.2.3", "1.2,", "-1.2", "9" * 20])
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_event_id(text)
