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
    poll: timedelta = Field(default=timedelta(seconds=1), description="Between two looks for stops and deadlines.")
    package_retention: timedelta = Field(
        default=timedelta(days=14), description="A package that no unfinished job needs is removed when unused so long."
    )
    package_sweep: timedelta = Field(default=timedelta(hours=1), description="Between two sweeps of such packages.")
