"""The controller's settings, read once."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ControllerSettings(BaseSettings):
    """Environment variables `DARTJOBS_CONTROLLER_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_CONTROLLER_", frozen=True)

    lease: timedelta = Field(
        default=timedelta(seconds=15), description="After so long without a sign it may be taken over."
    )
    heartbeat: timedelta = Field(default=timedelta(seconds=3), description="Between two renewals of the lease.")
    poll: timedelta = Field(default=timedelta(seconds=1), description="Between two looks for stops and deadlines.")
    retention_poll: timedelta = Field(
        default=timedelta(minutes=10), description="Between two looks for what was kept long enough."
    )
    idempotency: timedelta = Field(
        default=timedelta(hours=24), description="For how long an `Idempotency-Key` is remembered."
    )
    package_retention: timedelta = Field(
        default=timedelta(days=14), description="A package that no unfinished job needs is removed when unused so long."
    )
    package_sweep: timedelta = Field(default=timedelta(hours=1), description="Between two sweeps of such packages.")
