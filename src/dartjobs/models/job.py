"""Jobs, attempts and their history, as the store keeps them and the API shows them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, computed_field

from dartjobs.models.reason import Category, Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import JobState, Pair, ResourceState

JobId = Annotated[str, StringConstraints(pattern=r"^job-[0-9a-v]{26}$")]
"""`job-` and a UUIDv7 in base32hex: ids sort by the time of submission."""


class Record(BaseModel):
    """Immutable; unknown fields of a newer server are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SubmitIntent(Record):
    """What was committed before the driver was submitted: only this head may run it."""

    submission_id: str
    cluster_uid: str
    head_uid: str
    at: datetime


class StopIntent(Record):
    """A stop, as somebody asked for it. It belongs to the job, so a retry cannot lose it."""

    at: datetime
    by: str
    reason: str = ""


class RequeueIntent(Record):
    """An operator's wish that an attempt ends here and the job is queued again, without spending a retry."""

    attempt: int = Field(description="The number of the attempt that is to end; a later one is not meant.")
    at: datetime
    by: str
    reason: str = ""


class Attempt(Record):
    """One try at running a job on one cluster."""

    id: str
    job_id: str
    number: int = Field(ge=1)
    resource_state: ResourceState
    job_state: JobState
    version: int = Field(ge=1, description="Counts the attempt's transitions.")
    reason: Reason
    category: Category | None = None
    message: str = ""
    cluster: str | None = None
    avoid: str | None = Field(
        default=None, description="The cluster that it keeps clear of at first: the attempt before failed there."
    )
    created_at: datetime
    entered_at: datetime = Field(description="Entry into the present pair of states.")
    not_before: datetime | None = Field(default=None, description="A retry's backoff.")
    blind_at_entry: float = Field(default=0.0, description="The cluster's blind seconds at `entered_at`.")
    cluster_uid: str | None = None
    submit_intent: SubmitIntent | None = None
    driver_seen_at: datetime | None = Field(default=None, description="When Ray first knew the driver.")
    driver_started_at: datetime | None = None
    stop_cause: Reason | None = Field(default=None, description="Why it is being stopped, once it is.")
    stop_sent_at: datetime | None = Field(default=None, description="When Ray was last asked to stop the driver.")
    exit_code: int | None = Field(
        default=None, description="As a shell shows it: 128 + the signal's number for a signal."
    )
    signal: str | None = None
    finished_at: datetime | None = None
    terminated_at: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def advice(self) -> str:
        """What its user can do next; empty where there is nothing to do."""
        return self.reason.advice

    @property
    def pair(self) -> Pair:
        """Both states."""
        return Pair(self.resource_state, self.job_state)


class Job(Record):
    """A job with the states of its latest attempt."""

    id: str
    namespace: str
    name: str
    user: str
    spec: JobSpec
    submitted_at: datetime
    finished_at: datetime | None = Field(default=None, description="Set only when no retry will follow.")
    stop: StopIntent | None = None
    requeue: RequeueIntent | None = Field(default=None, description="The last one that was asked for.")
    retry_of: str | None = Field(default=None, description="The finished job whose specification this one repeats.")
    attempt: Attempt
    why: str = Field(default="", description="Why it is not running, in a sentence; empty once it runs.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def resource_state(self) -> ResourceState:
        """The latest attempt's."""
        return self.attempt.resource_state

    @computed_field  # type: ignore[prop-decorator]
    @property
    def job_state(self) -> JobState:
        """The latest attempt's."""
        return self.attempt.job_state


class Transition(Record):
    """One move of an attempt. Replaying an attempt's transitions gives the attempt."""

    attempt_id: str
    attempt: int = Field(description="The attempt's number.")
    version: int = Field(description="The attempt's version after the move; 1 is its creation.")
    from_resource_state: ResourceState | None
    from_job_state: JobState | None
    resource_state: ResourceState
    job_state: JobState
    reason: Reason
    category: Category | None = None
    message: str = ""
    actor: str
    evidence: dict[str, Any] = {}
    at: datetime


class TransitionList(Record):
    """A job's moves over all its attempts, oldest first."""

    items: list[Transition]


class JobPage(Record):
    """A page of a list, newest first."""

    items: list[Job]
    next_cursor: str | None = Field(default=None, description="Pass as `cursor` for the next page; null at the end.")


class StopRequest(Record):
    """The body of a stop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, StringConstraints(max_length=1_024)] = ""


class RequeueRequest(StopRequest):
    """The body of a requeue."""

    attempt: int | None = Field(
        default=None, ge=1, description="The attempt to end, so that the request may be repeated; null: the latest."
    )


class PackageInfo(Record):
    """A package that is stored whole and verified."""

    ref: str
    size: int
