"""The Sync Service's settings, read once."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SyncSettings(BaseSettings):
    """Environment variables `DARTJOBS_SYNC_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_SYNC_", frozen=True)

    cluster: str = Field(default="local", description="The cluster's name.")
    labels: dict[str, str] = Field(default={}, description="What `cluster_selector` is matched with.")
    gateway_url: str = Field(default="http://127.0.0.1:7879", description="As runners in the cluster reach it.")
    lease: timedelta = Field(
        default=timedelta(seconds=15), description="After so long without a sign it may be taken over."
    )
    heartbeat: timedelta = Field(default=timedelta(seconds=3), description="Between two renewals of the lease.")
    poll: timedelta = Field(
        default=timedelta(seconds=1), description="Between two looks for work that no hint announced."
    )
    survey: timedelta = Field(
        default=timedelta(seconds=2), description="Between two looks at what the cluster holds, in bulk."
    )
    full_pass: timedelta = Field(
        default=timedelta(minutes=1), description="Between two looks for orphans, and for what was missed."
    )
    sweep_grace: timedelta = Field(
        default=timedelta(seconds=30), description="Nothing of an attempt is swept before it is over for so long."
    )
    concurrency: int = Field(default=32, ge=1, description="Attempts observed or acted upon together.")
