"""Evidence, in its order, becomes the outcome that a user can act on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dartjobs.core.decide import decide, is_silent, must_ask_ray
from dartjobs.core.policy import Policy
from dartjobs.core.retries import retry_at
from dartjobs.core.world import (
    Act,
    Evidence,
    Exited,
    Failure,
    Move,
    Observation,
    RayJob,
    RayJobStatus,
    Started,
    View,
    Wait,
)
from dartjobs.models.job import Attempt, StopIntent, SubmitIntent
from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = Policy()
INTENT = SubmitIntent(submission_id="job-1-1", cluster_uid="c", head_uid="h", at=NOW)
HEALTHY = Observation(cluster_uid="c", head_uid="h", head_answers=True, leftovers=True)
RUNNING = Pair(ResourceState.READY, JobState.RUNNING)
STOPPING = Pair(ResourceState.TERMINATING, JobState.STOPPING)


def view(pair: Pair = RUNNING, spec: JobSpec | None = None, **attempt: object) -> View:
    fields = {"cluster": "local", "cluster_uid": "c", "submit_intent": INTENT, "driver_seen_at": NOW, **attempt}
    both = {"resource_state": pair.resource_state, "job_state": pair.job_state}
    common = {"id": "job-1-1", "job_id": "job-1", "number": 1, "version": 4, "reason": Reason.DRIVER_STARTED}
    one = Attempt.model_validate({**common, **both, "created_at": NOW, "entered_at": NOW, **fields})
    return View(one, spec or JobSpec(entrypoint="true"), NOW, NOW + timedelta(seconds=1), HEALTHY)


def moved(one: View) -> Move:
    decision = decide(one, POLICY)
    assert isinstance(decision, Move), decision
    return decision


@pytest.mark.parametrize(
    ("exited", "state", "reason", "category"),
    [
        (Exited(NOW, 0), JobState.SUCCEEDED, Reason.COMPLETED, None),
        (Exited(NOW, 3), JobState.FAILED, Reason.DRIVER_FAILED, Category.USER),
        (Exited(NOW, 137, "SIGKILL"), JobState.FAILED, Reason.DRIVER_KILLED, Category.USER),
        (Exited(NOW, 127, error="no such program"), JobState.FAILED, Reason.ENTRYPOINT_FAILED, Category.USER_ENV),
    ],
)
def test_an_exit_is_told_with_its_code(
    exited: Exited, state: JobState, reason: Reason, category: Category | None
) -> None:
    move = moved(replace(view(), evidence=Evidence(exit=exited)))
    assert (move.target.job_state, move.reason, move.reason.category) == (state, reason, category)
    assert move.changes["exit_code"] == exited.code
    assert move.changes.get("signal") == exited.signal


@pytest.mark.parametrize(
    ("cause", "state"),
    [(Reason.USER_STOP, JobState.STOPPED), (Reason.JOB_TIMEOUT, JobState.FAILED), (Reason.DRAINED, JobState.STOPPED)],
)
def test_an_end_after_a_stop_is_the_outcome_of_its_cause(cause: Reason, state: JobState) -> None:
    stopping = view(STOPPING, stop_cause=cause)
    for proof in (
        replace(stopping, evidence=Evidence(exit=Exited(NOW, 143, "SIGTERM", stopping=True))),
        replace(stopping, observation=replace(HEALTHY, head_uid=None)),
        replace(stopping, observation=replace(HEALTHY, ray_job=RayJob(RayJobStatus.STOPPED))),
    ):
        move = moved(proof)
        assert (move.target.job_state, move.reason) == (state, cause)


def test_an_exit_before_the_sigterm_is_what_it_was() -> None:
    stopping = view(STOPPING, stop_cause=Reason.USER_STOP)
    assert moved(replace(stopping, evidence=Evidence(exit=Exited(NOW, 0)))).target.job_state is JobState.SUCCEEDED


def test_a_silent_runner_has_ray_asked_and_is_no_end() -> None:
    running, heard, second = view(), Evidence(start=Started(NOW, "h")), timedelta(seconds=1)
    assert not is_silent(heard, second, POLICY)
    assert is_silent(replace(heard, silent_since=NOW), second, POLICY)
    assert is_silent(Evidence(), second, POLICY)
    assert is_silent(heard, 26 * second, POLICY)
    assert is_silent(heard, None, POLICY)
    assert not must_ask_ray(running.attempt, heard, silent=False)
    assert must_ask_ray(running.attempt, heard, silent=True)
    alive = replace(running, observation=replace(HEALTHY, ray_job=RayJob(RayJobStatus.RUNNING)))
    assert isinstance(decide(alive, POLICY), Wait)


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (RayJob(RayJobStatus.FAILED, "pip", "RUNTIME_ENV_SETUP_FAILURE"), Reason.RUNTIME_ENV_FAILED),
        (RayJob(RayJobStatus.FAILED, "no CPU", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"), Reason.DRIVER_UNSCHEDULABLE),
        (RayJob(RayJobStatus.FAILED, "", "JOB_ENTRYPOINT_COMMAND_ERROR", 97), Reason.HEAD_LOST),
        (RayJob(RayJobStatus.FAILED, "", "JOB_ENTRYPOINT_COMMAND_ERROR", 3), Reason.DRIVER_FAILED),
    ],
)
def test_rays_word_counts_where_the_runner_is_silent(job: RayJob, reason: Reason) -> None:
    waiting = view(Pair(ResourceState.READY, JobState.WAITING))
    move = moved(replace(waiting, observation=replace(HEALTHY, ray_job=job)))
    assert (move.target.job_state, move.reason) == (JobState.FAILED, reason)


def test_a_driver_that_was_seen_to_run_may_exit_with_the_runners_own_code() -> None:
    job = RayJob(RayJobStatus.FAILED, "", "JOB_ENTRYPOINT_COMMAND_ERROR", 97)
    heard = Evidence(start=Started(NOW, "h"))
    move = moved(replace(view(), observation=replace(HEALTHY, ray_job=job), evidence=heard))
    assert (move.reason, move.changes["exit_code"]) == (Reason.DRIVER_FAILED, 97)


def test_a_head_that_is_gone_or_another_is_lost() -> None:
    for uid in (None, "other"):
        move = moved(replace(view(), observation=replace(HEALTHY, head_uid=uid)))
        assert (move.reason, move.reason.category) == (Reason.HEAD_LOST, Category.INFRASTRUCTURE)


def test_a_cluster_that_somebody_deleted_is_not_made_again() -> None:
    gone = Observation()
    assert moved(replace(view(), observation=gone)).reason is Reason.RESOURCES_DELETED
    creating = view(Pair(ResourceState.CREATING, JobState.WAITING), submit_intent=None)
    assert moved(replace(creating, observation=gone)).reason is Reason.RESOURCES_DELETED


def test_a_driver_that_ignores_every_stop_dies_with_its_head_but_not_early() -> None:
    stopping = view(STOPPING, stop_cause=Reason.USER_STOP, stop_sent_at=NOW)
    assert isinstance(decide(stopping, POLICY), Wait)
    assert decide(replace(stopping, now=NOW + timedelta(minutes=10)), POLICY) is Act.KILL_HEAD
    blind = replace(stopping, now=NOW + timedelta(minutes=10), blind_seconds=300)
    assert decide(blind, POLICY) is Act.STOP_DRIVER


def test_a_lost_submit_is_repeated_only_while_ray_never_knew_it() -> None:
    waiting = view(Pair(ResourceState.READY, JobState.WAITING), driver_seen_at=None)
    absent = replace(HEALTHY, ray_job=RayJob(RayJobStatus.ABSENT))
    assert decide(replace(waiting, observation=absent), POLICY) is Act.RESUBMIT
    seen = view(Pair(ResourceState.READY, JobState.WAITING))
    assert moved(replace(seen, observation=absent)).reason is Reason.HEAD_LOST


def test_a_stop_before_the_submit_intent_needs_no_driver_to_end() -> None:
    stop = StopIntent(at=NOW, by="ann", reason="wrong data")
    waiting = replace(view(Pair(ResourceState.READY, JobState.WAITING), submit_intent=None), stop=stop)
    move = moved(waiting)
    assert move.target == Pair(ResourceState.TERMINATING, JobState.STOPPED)
    assert move.message == "Stopped by ann: wrong data"


def test_the_log_is_kept_before_the_cluster_goes() -> None:
    over = view(Pair(ResourceState.TERMINATING, JobState.FAILED))
    assert isinstance(decide(over, POLICY), Wait)
    assert decide(replace(over, now=NOW + timedelta(minutes=1)), POLICY) is Act.SEAL_LOG
    assert decide(replace(over, evidence=Evidence(log_end=9)), POLICY) is Act.DELETE
    empty = replace(over, evidence=Evidence(log_end=9), observation=Observation())
    assert moved(empty).target == Pair(ResourceState.TERMINATED, JobState.FAILED)


def test_a_ttl_keeps_the_cluster_of_a_job_that_can_be_debugged() -> None:
    spec = JobSpec.model_validate({"entrypoint": "true", "ttl_after_finished": "5m"})
    failed = replace(view(spec=spec), evidence=Evidence(exit=Exited(NOW, 1)))
    assert moved(failed).target == Pair(ResourceState.READY, JobState.FAILED)
    kept = view(Pair(ResourceState.READY, JobState.FAILED), spec)
    assert isinstance(decide(kept, POLICY), Wait)
    assert moved(replace(kept, now=NOW + timedelta(minutes=5))).reason is Reason.TTL_OVER


def test_retries_are_by_category_and_back_off() -> None:
    spec = JobSpec.model_validate({"entrypoint": "true", "retries": {"infrastructure": 2, "backoff": "10s"}})
    lost = view(spec=spec)
    move = moved(replace(lost, observation=replace(HEALTHY, head_uid=None)))
    assert retry_at(lost, move, []) == lost.now + timedelta(seconds=10)
    assert retry_at(lost, move, [Category.INFRASTRUCTURE, Category.USER]) == lost.now + timedelta(seconds=20)
    assert retry_at(lost, move, [Category.INFRASTRUCTURE] * 2) is None
    assert retry_at(replace(lost, stop=StopIntent(at=NOW, by="ann")), move, []) is None


def test_the_log_of_a_kept_cluster_is_closed_when_its_runner_never_will() -> None:
    spec = JobSpec.model_validate({"entrypoint": "true", "ttl_after_finished": "1h"})
    kept = view(Pair(ResourceState.READY, JobState.FAILED), spec)
    assert isinstance(decide(kept, POLICY), Wait)
    assert decide(replace(kept, now=NOW + timedelta(minutes=1)), POLICY) is Act.SEAL_LOG


def test_a_kept_cluster_is_let_go_once_its_job_is_tried_again() -> None:
    spec = JobSpec.model_validate({"entrypoint": "true", "ttl_after_finished": "1h"})
    kept = view(Pair(ResourceState.READY, JobState.FAILED), spec)
    assert moved(replace(kept, superseded=True)).target == Pair(ResourceState.TERMINATING, JobState.FAILED)


def test_a_backoff_is_no_time_in_the_queue() -> None:
    spec = JobSpec.model_validate({"entrypoint": "true", "timeouts": {"queued": "1m"}})
    backing_off = view(
        Pair(ResourceState.QUEUED, JobState.WAITING), spec, submit_intent=None, not_before=NOW + timedelta(minutes=5)
    )
    assert isinstance(decide(replace(backing_off, now=NOW + timedelta(minutes=5)), POLICY), Wait)
    assert moved(replace(backing_off, now=NOW + timedelta(minutes=6))).reason is Reason.QUEUED_TIMEOUT


def test_a_driver_that_runs_unheard_is_not_stopped_for_its_silence() -> None:
    waiting = replace(view(Pair(ResourceState.READY, JobState.WAITING)), now=NOW + timedelta(hours=1))
    unheard = replace(waiting, observation=replace(HEALTHY, ray_job=RayJob(RayJobStatus.RUNNING)))
    assert moved(unheard).target == RUNNING
    stuck = replace(waiting, observation=replace(HEALTHY, ray_job=RayJob(RayJobStatus.PENDING)))
    assert (moved(stuck).target, moved(stuck).reason) == (STOPPING, Reason.START_TIMEOUT)


def test_a_killed_runner_reads_as_a_shell_shows_it() -> None:
    killed = RayJob(RayJobStatus.FAILED, "", "JOB_ENTRYPOINT_COMMAND_ERROR", -9)
    move = moved(replace(view(), observation=replace(HEALTHY, ray_job=killed)))
    assert (move.reason, move.changes["exit_code"]) == (Reason.DRIVER_KILLED, 137)


def test_a_lost_head_is_told_with_its_own_last_words() -> None:
    gone = replace(HEALTHY, head_uid=None, failure=Failure(Reason.HEAD_FAILED, "the raylet died"))
    assert moved(replace(view(), observation=gone)).message.endswith("the raylet died")
