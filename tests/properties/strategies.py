"""Random worlds: every attempt, observation and report that the types allow."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from dartjobs.core.world import Evidence, Exited, Failure, Observation, RayJob, RayJobStatus, Started, View
from dartjobs.models.job import Attempt, RequeueIntent, StopIntent, SubmitIntent
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec, Retries, Timeouts
from dartjobs.models.state import LEGAL_PAIRS, Pair, ResourceState

START = datetime(2026, 1, 1, tzinfo=UTC)
UIDS = st.sampled_from(["uid-a", "uid-b"])
MOMENTS = st.integers(0, 4_000).map(lambda seconds: START + timedelta(seconds=seconds))
LIVE_PAIRS = [pair for pair in LEGAL_PAIRS if pair.resource_state is not ResourceState.TERMINATED]

specs = st.builds(
    JobSpec,
    entrypoint=st.just("python train.py"),
    timeouts=st.builds(Timeouts, job=st.sampled_from([None, "30s", "1h"]), queued=st.sampled_from([None, "10s"])),
    ttl_after_finished=st.sampled_from(["0s", "5m"]),
    retries=st.builds(Retries, infrastructure=st.integers(0, 2), user=st.integers(0, 1)),
)
ray_jobs = st.builds(
    RayJob,
    status=st.sampled_from(RayJobStatus),
    message=st.just("said Ray"),
    error_type=st.sampled_from([None, "RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_DIED", "SOMETHING_NEW"]),
    exit_code=st.sampled_from([None, 0, 1, 97]),
)
observations = st.one_of(
    st.just(Observation(reachable=False)),
    st.builds(
        Observation,
        cluster_uid=st.none() | UIDS,
        head_uid=st.none() | UIDS,
        head_answers=st.booleans(),
        failure=st.none() | st.just(Failure(Reason.HEAD_FAILED, "no")),
        ray_job=st.none() | ray_jobs,
        leftovers=st.booleans(),
    ),
)
evidences = st.builds(
    Evidence,
    start=st.none() | st.builds(Started, MOMENTS, UIDS),
    exit=st.none()
    | st.builds(
        Exited,
        MOMENTS,
        st.integers(0, 255),
        st.sampled_from([None, "SIGKILL"]),
        st.booleans(),
        st.sampled_from([None, "no"]),
    ),
    silent_since=st.none() | MOMENTS,
    log_end=st.none() | st.integers(0, 10),
)
intents = st.builds(SubmitIntent, submission_id=st.just("job-1"), cluster_uid=UIDS, head_uid=UIDS, at=MOMENTS)
requeues = st.none() | st.builds(RequeueIntent, attempt=st.integers(1, 2), at=MOMENTS, by=st.just("ops"))
stops = st.none() | st.builds(StopIntent, at=MOMENTS, by=st.just("ann"))


@st.composite
def attempts(draw: st.DrawFn, pair: Pair | None = None) -> Attempt:
    """An attempt in any legal pair that is not over."""
    where = pair or draw(st.sampled_from(LIVE_PAIRS))
    return Attempt(
        id="job-1-1",
        job_id="job-1",
        number=1,
        resource_state=where.resource_state,
        job_state=where.job_state,
        version=draw(st.integers(1, 9)),
        reason=Reason.SUBMITTED,
        cluster=None if where.resource_state is ResourceState.QUEUED else "local",
        created_at=START,
        entered_at=draw(MOMENTS),
        cluster_uid=draw(st.none() | UIDS),
        submit_intent=draw(st.none() | intents),
        driver_seen_at=draw(st.none() | MOMENTS),
        stop_cause=draw(
            st.sampled_from([None, Reason.USER_STOP, Reason.JOB_TIMEOUT, Reason.PREEMPTED, Reason.REQUEUED])
        ),
        stop_sent_at=draw(st.none() | MOMENTS),
    )


views = st.builds(
    View,
    attempt=attempts(),
    spec=specs,
    submitted_at=st.just(START),
    now=MOMENTS,
    observation=observations,
    evidence=evidences,
    stop=stops,
    requeue=requeues,
    blind_seconds=st.floats(0, 100),
    impossible=st.none() | st.just("no cluster has so many GPUs"),
)
