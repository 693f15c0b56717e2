"""What every driver must do: one suite, run on the fake as well, so that tests with the fake mean something."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from dartjobs.core.world import Observation, RayJobStatus
from dartjobs.drivers.base import Driver, HeadChangedError, Launch, Submission, TemporaryDriverError
from dartjobs.models.job import Attempt, SubmitIntent
from dartjobs.models.reason import Reason
from dartjobs.models.spec import HeadGroup, JobSpec
from dartjobs.models.state import JobState, ResourceState
from tests.fakes.gateway import TOKEN
from tests.fakes.polling import eventually

SMALL = HeadGroup.model_validate({"cpu": 1, "memory": "1Gi"})
SPEC = JobSpec(entrypoint="true", head=SMALL)
FOR_EVER = JobSpec(entrypoint="sleep 600", head=SMALL)


def new_attempt() -> Attempt:
    job_id, now = f"job-{uuid.uuid4().hex[:26]}", datetime.now(UTC)
    return Attempt(
        id=f"{job_id}-1",
        job_id=job_id,
        number=1,
        resource_state=ResourceState.CREATING,
        job_state=JobState.WAITING,
        version=2,
        reason=Reason.CLAIMED,
        created_at=now,
        entered_at=now,
    )


@dataclass(frozen=True)
class Head:
    """A Ray cluster of which the head answers."""

    attempt: Attempt
    seen: Observation
    spec: JobSpec

    def submission(self, spec: JobSpec) -> Submission:
        """With a submission id of its own."""
        assert self.seen.cluster_uid is not None
        assert self.seen.head_uid is not None
        intent = SubmitIntent(
            submission_id=f"{self.attempt.id}-{uuid.uuid4().hex[:4]}",
            cluster_uid=self.seen.cluster_uid,
            head_uid=self.seen.head_uid,
            at=datetime.now(UTC),
        )
        return Submission(self.attempt.model_copy(update={"submit_intent": intent}), spec, "team", intent)


async def bring_up(driver: Driver, gateway_url: str, spec: JobSpec = SPEC, seconds: float = 60.0) -> Head:
    attempt = new_attempt()
    await driver.create(Launch(attempt, spec, TOKEN, gateway_url))
    seen = await eventually(
        lambda: driver.observe(attempt, ask_ray=False), lambda one: one.head_answers or one.failure, seconds
    )
    assert seen.failure is None, seen.failure
    return Head(attempt, seen, spec)


async def take_down(driver: Driver, attempt: Attempt) -> None:
    async def look() -> Observation:
        await driver.delete(attempt)
        return await driver.observe(attempt, ask_ray=False)

    await eventually(look, lambda seen: not seen.leftovers)


async def until_status(driver: Driver, submission: Submission, *wanted: RayJobStatus) -> Observation:
    def holds(seen: Observation) -> bool:
        return seen.ray_job is not None and seen.ray_job.status in wanted

    return await eventually(lambda: driver.observe(submission.attempt, ask_ray=True), holds)


class DriverSuite:
    """A subclass gives the fixtures `driver`, `gateway_url` and `head`; tests with `head` leave it as it is."""

    spec = SPEC
    """What is brought up beside `head`."""

    async def born(self, driver: Driver, attempt: Attempt) -> Observation:
        """What is seen of a Ray cluster that was just created, once a head that dies is not replaced any more."""
        return await driver.observe(attempt, ask_ray=False)

    async def test_it_is_the_same_cluster_each_time(self, driver: Driver) -> None:
        assert await driver.identity() == await driver.identity() != ""

    async def test_it_has_room(self, driver: Driver) -> None:
        total = (await driver.capacity()).total
        assert total.cpu > 0
        assert total.memory > 0

    async def test_of_an_unknown_attempt_nothing_is_there(self, driver: Driver, head: Head) -> None:
        unknown = head.submission(SPEC).attempt.model_copy(update={"id": new_attempt().id})
        await driver.delete(unknown)
        await driver.kill_head(unknown)
        with pytest.raises(TemporaryDriverError):
            await driver.stop_driver(unknown)
        assert await driver.observe(unknown, ask_ray=True) == Observation()

    async def test_a_head_that_is_created_again_is_the_same(self, driver: Driver, head: Head, gateway_url: str) -> None:
        await driver.create(Launch(head.attempt, head.spec, TOKEN, gateway_url))
        assert await driver.observe(head.attempt, ask_ray=False) == head.seen
        assert head.seen.leftovers
        held = {one.attempt_id: one for one in await driver.inventory()}
        mine = held[head.attempt.id]
        assert (mine.cluster_uid, mine.head_uid) == (head.seen.cluster_uid, head.seen.head_uid)

    async def test_only_the_ray_cluster_that_was_seen_is_deleted(self, driver: Driver, head: Head) -> None:
        await driver.delete(head.attempt, cluster_uid="another")
        assert await driver.observe(head.attempt, ask_ray=False) == head.seen

    async def test_a_package_is_there_once_it_was_put(self, driver: Driver, head: Head) -> None:
        data = b"PK\x05\x06" + bytes(18)
        ref = f"sha256:{sha256(data).hexdigest()}"

        async def chunks() -> AsyncIterator[bytes]:
            yield data[:10]
            yield data[10:]

        assert not await driver.has_package(head.attempt, ref)
        await driver.put_package(head.attempt, ref, chunks(), len(data))
        assert await driver.has_package(head.attempt, ref)

    async def test_nothing_is_submitted_to_another_head(self, driver: Driver, head: Head) -> None:
        right = head.submission(SPEC)
        wrong = right.intent.model_copy(update={"head_uid": "another"})
        with pytest.raises(HeadChangedError):
            await driver.submit(replace(right, intent=wrong))
        seen = await driver.observe(right.attempt, ask_ray=True)
        assert seen.ray_job is not None
        assert seen.ray_job.status is RayJobStatus.ABSENT

    async def test_a_driver_runs_once_however_often_it_is_submitted(self, driver: Driver, head: Head) -> None:
        submission = head.submission(SPEC)
        await driver.submit(submission)
        await driver.submit(submission)
        seen = await until_status(driver, submission, RayJobStatus.SUCCEEDED, RayJobStatus.FAILED)
        assert seen.ray_job is not None
        assert (seen.ray_job.status, seen.ray_job.exit_code) == (RayJobStatus.SUCCEEDED, 0)
        await driver.submit(submission)
        assert (await driver.observe(submission.attempt, ask_ray=True)).ray_job == seen.ray_job

    async def test_a_driver_stops_when_asked(self, driver: Driver, head: Head) -> None:
        submission = head.submission(FOR_EVER)
        await driver.submit(submission)
        await until_status(driver, submission, RayJobStatus.RUNNING)
        await driver.stop_driver(submission.attempt)
        await until_status(driver, submission, RayJobStatus.STOPPED)
        await driver.stop_driver(submission.attempt)

    async def test_a_killed_head_stays_dead(self, driver: Driver, gateway_url: str) -> None:
        launch = Launch(new_attempt(), self.spec, TOKEN, gateway_url)
        await driver.create(launch)
        born = await self.born(driver, launch.attempt)
        submission = Head(launch.attempt, born, SPEC).submission(SPEC)
        other = submission.intent.model_copy(update={"head_uid": "another"})
        await driver.kill_head(launch.attempt.model_copy(update={"submit_intent": other}))
        assert (await driver.observe(launch.attempt, ask_ray=False)).head_uid == born.head_uid
        await driver.kill_head(submission.attempt)
        dead = await eventually(
            lambda: driver.observe(submission.attempt, ask_ray=True), lambda seen: seen.head_uid is None
        )
        assert (dead.cluster_uid, dead.ray_job, dead.leftovers) == (born.cluster_uid, None, True)
        [held] = [one for one in await driver.inventory() if one.attempt_id == launch.attempt.id]
        assert (held.cluster_uid, held.head_uid) == (born.cluster_uid, None)
        await driver.create(launch)
        assert (await driver.observe(launch.attempt, ask_ray=False)).head_uid is None
        with pytest.raises(HeadChangedError):
            await driver.submit(submission)
        await take_down(driver, launch.attempt)
        await driver.delete(launch.attempt)
        assert launch.attempt.id not in {held.attempt_id for held in await driver.inventory()}
