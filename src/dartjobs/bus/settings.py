"""The bus's settings, read once."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BusSettings(BaseSettings):
    """Environment variables `DARTJOBS_BUS_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_BUS_", frozen=True)

    url: str = Field(
        default="polling:",
        description="`redis://…`, `rediss://…` or `unix://…` of a Redis or Valkey; `polling:` where there is none; "
        "`memory:` where everything is one process.",
    )
    prefix: str = Field(default="dartjobs", description="Keeps installations on one Redis apart.")
