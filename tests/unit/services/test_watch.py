"""A watch shows every move once, also those of an attempt that is cleaned up while the next one begins."""

import asyncio
from functools import partial
from pathlib import Path

from dartjobs.core.world import UNREACHABLE, Move
from dartjobs.models.job import Transition
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState
from dartjobs.services import jobs as service
from dartjobs.services.platform import Platform
from dartjobs.services.watch import Until, watch
from dartjobs.store import attempts
from dartjobs.store.leases import Lease
from dartjobs.sync.reconcile import view_of
from tests.fakes.platform import platform_at, take_lease

SPEC = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 1, "backoff": "0s"}})


async def move(platform: Platform, lease: Lease, attempt_id: str, target: Pair, reason: Reason) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=attempt_id))
    assert loaded is not None
    record = partial(
        attempts.record_move, lease=lease, view=view_of(loaded, UNREACHABLE), move=Move(target, reason), actor="test"
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
        async with asyncio.timeout(20):
            async for change in watch(platform, "team", job.id, (0, 0), Until.TERMINATED):
                if isinstance(change, Transition):
                    seen.append((change.attempt, change.version))
                elif change is not None:
                    break
        assert seen == [(1, 1), (1, 2), (1, 3), (2, 1)]
        await move(platform, lease, f"{job.id}-1", Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.DELETED)
        await platform.database.write(partial(claim, attempt_id=f"{job.id}-2"))
        await move(platform, lease, f"{job.id}-2", Pair(ResourceState.TERMINATED, JobState.FAILED), Reason.HEAD_LOST)
        async with asyncio.timeout(20):
            resumed = [
                (change.attempt, change.version)
                async for change in watch(platform, "team", job.id, seen[-1], Until.TERMINATED)
                if isinstance(change, Transition)
            ]
        assert sorted(resumed) == [(1, 4), (2, 2), (2, 3)]
