"""Why a job is not running, or why it ended, as the API answers it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from dartjobs.models.job import Record
from dartjobs.models.reason import Category, Reason
from dartjobs.models.state import JobState, ResourceState


class Refusal(StrEnum):
    """Why a cluster does not take a job now; the first three last for as long as it is set up as it is."""

    SELECTOR = "SELECTOR"
    """It lacks labels of `cluster_selector`."""
    NAMESPACE = "NAMESPACE"
    """It takes no jobs of this namespace."""
    TOO_LARGE = "TOO_LARGE"
    """The job is more than it has, or may hold, even empty."""
    CORDONED = "CORDONED"
    UNREACHABLE = "UNREACHABLE"
    LOST = "LOST"
    LIMIT = "LIMIT"
    """It has room, and is at one of its limits."""
    NO_ROOM = "NO_ROOM"
    AVOIDED = "AVOIDED"
    """The attempt before failed there: others are given time to take it."""


class ClusterVerdict(Record):
    """What one cluster says to a queued job."""

    name: str
    fits: bool = Field(description="It could take the job now.")
    refusal: Refusal | None = Field(default=None, description="Why it does not; null where it could.")
    detail: str = Field(description="Why it does, or why it does not.")


class Explanation(Record):
    """The present state of a job in words, with what comes next."""

    job_id: str
    attempt: int = Field(description="The latest attempt's number.")
    resource_state: ResourceState
    job_state: JobState
    summary: str = Field(description="One sentence: why it is not running, that it runs, or why it ended.")
    reason: Reason
    category: Category | None = None
    message: str = ""
    advice: str = Field(default="", description="What its user can do next.")
    next: str = Field(default="", description="What will happen next, and when at the latest.")
    since: datetime = Field(description="Entry into the present states.")
    position: int | None = Field(default=None, description="Place in the queue, 1 is the first; null once claimed.")
    clusters: list[ClusterVerdict] = Field(default=[], description="While it is queued: each cluster's answer.")
    unreachable_since: datetime | None = Field(
        default=None, description="Since when its cluster could not be seen; null where it can."
    )
