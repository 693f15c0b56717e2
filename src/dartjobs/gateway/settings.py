"""The gateway's settings, read once."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Environment variables `DARTJOBS_GATEWAY_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_GATEWAY_", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to bind, where it is a process of its own.")
    port: int = Field(default=7879, ge=0, le=65_535, description="0: any free one.")
    push_limit: int = Field(default=4 * 2**20, gt=0, description="Bytes of log in one request.")
    cluster: str = Field(default="local", description="The cluster whose runners it hears.")
    listen_seconds: float = Field(default=5.0, gt=0, description="Between two signs that it listens.")
    silence_seconds: float = Field(
        default=25.0, gt=0, description="A runner that is not heard for so long has Ray asked; it beats every 10 s."
    )
    known_attempt_seconds: float = Field(
        default=5.0, ge=0, description="For how long a yes to 'may this attempt still report?' is believed."
    )
