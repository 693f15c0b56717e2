"""Whatever is seen, `decide` stays inside the table and concludes nothing that the evidence does not bear."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given

from dartjobs.core.decide import decide
from dartjobs.core.policy import Policy
from dartjobs.core.retries import retry_at
from dartjobs.core.world import Act, Evidence, Move, Observation, RayJobStatus, View, Wait
from dartjobs.models.job import StopIntent
from dartjobs.models.reason import Category, Reason
from dartjobs.models.state import JobState, ResourceState, is_legal_move
from tests.properties import strategies

POLICY = Policy()


@given(strategies.views)
def test_every_move_is_in_the_table(view: View) -> None:
    decision = decide(view, POLICY)
    if isinstance(decision, Move):
        assert is_legal_move(view.attempt.pair, decision.target)


@given(strategies.views)
def test_every_wait_ends_and_lies_ahead(view: View) -> None:
    decision = decide(view, POLICY)
    if isinstance(decision, Wait):
        assert timedelta(0) < decision.until - view.now <= timedelta(hours=1)


@given(strategies.views)
def test_a_decision_depends_on_nothing_but_the_view(view: View) -> None:
    assert decide(view, POLICY) == decide(view, POLICY)


@given(strategies.views)
def test_an_outcome_never_changes(view: View) -> None:
    decision = decide(view, POLICY)
    if view.attempt.job_state.is_final and isinstance(decision, Move):
        assert decision.target.job_state is view.attempt.job_state


@given(strategies.views)
def test_terminated_needs_the_proof_that_nothing_is_left(view: View) -> None:
    decision = decide(view, POLICY)
    if isinstance(decision, Move) and decision.target.resource_state is ResourceState.TERMINATED:
        never_created = view.attempt.resource_state is ResourceState.QUEUED
        assert never_created or (view.observation.reachable and not view.observation.leftovers)


@given(strategies.views)
def test_an_unreachable_cluster_proves_nothing(view: View) -> None:
    blind = replace(
        view, observation=Observation(reachable=False), evidence=Evidence(), stop=None, requeue=None, impossible=None
    )
    unlimited = replace(blind, spec=view.spec.model_copy(update={"timeouts": type(view.spec.timeouts)()}))
    fresh = replace(unlimited, now=view.attempt.entered_at)
    decision = decide(fresh, POLICY)
    kept_no_longer = view.attempt.job_state.is_final
    assert isinstance(decision, Wait) or kept_no_longer
    assert not isinstance(decision, Act)


@given(strategies.views)
def test_a_driver_that_ray_knew_is_never_submitted_again(view: View) -> None:
    decision = decide(view, POLICY)
    if decision is Act.RESUBMIT:
        assert view.attempt.driver_seen_at is None
        assert view.evidence.start is None
        assert view.evidence.exit is None
        assert view.attempt.submit_intent is not None
        assert view.observation.head_uid == view.attempt.submit_intent.head_uid
    if decision is Act.SUBMIT:
        assert view.attempt.submit_intent is None


@given(strategies.views)
def test_a_reported_exit_beats_a_lost_head(view: View) -> None:
    if view.evidence.exit is None or view.attempt.submit_intent is None or view.attempt.job_state.is_final:
        return
    if view.attempt.resource_state in {ResourceState.QUEUED, ResourceState.CREATING}:
        return
    gone = replace(view, observation=Observation())
    decision = decide(gone, POLICY)
    assert isinstance(decision, Move)
    if view.attempt.job_state is JobState.WAITING and view.evidence.start is not None:
        assert decision.target.job_state is JobState.RUNNING
        return
    assert decision.target.job_state.is_final
    if not view.evidence.exit.stopping:
        assert decision.changes["exit_code"] == view.evidence.exit.code


@given(strategies.views)
def test_a_stop_is_honoured_in_every_state(view: View) -> None:
    stopped = replace(view, stop=StopIntent(at=view.now, by="ann"), evidence=Evidence())
    decision = decide(stopped, POLICY)
    if view.attempt.job_state in {JobState.WAITING, JobState.RUNNING}:
        assert isinstance(decision, Move)
        assert decision.target.job_state in {JobState.STOPPED, JobState.STOPPING}


@given(strategies.views)
def test_a_requeue_ends_the_attempt_that_it_names_and_a_users_stop_beats_it(view: View) -> None:
    fresh = replace(view, evidence=Evidence(), impossible=None, now=view.submitted_at)
    decision = decide(fresh, POLICY)
    named = view.requeue is not None and view.requeue.attempt == view.attempt.number
    live = view.attempt.job_state in {JobState.WAITING, JobState.RUNNING}
    if not isinstance(decision, Move) or view.attempt.resource_state is ResourceState.QUEUED or not live:
        return
    if view.stop is not None:
        assert decision.reason is not Reason.REQUEUED
    elif named:
        assert decision.reason is Reason.REQUEUED
    if decision.reason is Reason.REQUEUED:
        assert decision.target.job_state in {JobState.STOPPED, JobState.STOPPING}
        assert retry_at(fresh, decision, []) == (fresh.now if decision.target.job_state.is_final else None)


@given(strategies.views)
def test_a_head_is_only_killed_under_a_driver_that_is_to_stop(view: View) -> None:
    decision = decide(view, POLICY)
    if decision is Act.KILL_HEAD:
        assert view.attempt.job_state is JobState.STOPPING
        assert view.observation.reachable


@given(strategies.views)
def test_no_user_error_is_retried_unless_asked_and_no_stop_ever(view: View) -> None:
    decision = decide(view, POLICY)
    if isinstance(decision, Move) and decision.target.job_state.is_final:
        again = retry_at(view, decision, [])
        if again is not None:
            assert view.stop is None
            assert decision.target.job_state is not JobState.SUCCEEDED
            category = decision.reason.category
            assert category is Category.STOPPED or (category and view.spec.retries.limit(category) > 0)


@given(strategies.views)
def test_a_live_ray_job_is_never_an_outcome(view: View) -> None:
    job = view.observation.ray_job
    quiet = replace(view, evidence=Evidence(), stop=None, requeue=None, now=view.attempt.entered_at)
    if job is None or job.status not in {RayJobStatus.PENDING, RayJobStatus.RUNNING}:
        return
    if view.attempt.job_state is not JobState.RUNNING or view.attempt.submit_intent is None:
        return
    intent = view.attempt.submit_intent
    attempt = view.attempt.model_copy(update={"cluster_uid": intent.cluster_uid})
    healthy = Observation(cluster_uid=intent.cluster_uid, head_uid=intent.head_uid, head_answers=True, ray_job=job)
    unlimited = view.spec.model_copy(update={"timeouts": type(view.spec.timeouts)()})
    assert isinstance(decide(replace(quiet, attempt=attempt, observation=healthy, spec=unlimited), POLICY), Wait)
