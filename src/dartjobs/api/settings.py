"""The API server's settings, read once."""

from ipaddress import ip_address
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class ApiSettings(BaseSettings):
    """Environment variables `DARTJOBS_API_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_API_", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to bind.")
    port: int = Field(default=7878, ge=0, le=65_535, description="0: any free one.")
    allow_unauthenticated: bool = Field(
        default=False,
        description="Serve other than loopback although nobody is asked who they are: it runs anybody's code.",
    )
    package_limit: int = Field(
        default=100 * 2**20,
        gt=0,
        description="Bytes; Ray's dashboard takes no larger package (DASHBOARD_CLIENT_MAX_SIZE).",
    )
    body_limit: int = Field(default=4 * 2**20, gt=0, description="Bytes of any other request's body.")
    requests_per_second: float = Field(
        default=0.0, ge=0, description="Of one user, at this replica; 0: no limit. What is above it is answered 429."
    )
    burst: int = Field(default=200, ge=1, description="Requests that a user may send at once after a pause.")
    address_requests_per_second: float = Field(
        default=0.0, ge=0, description="Of one network address, at this replica; 0: no limit."
    )
    address_burst: int = Field(default=1_000, ge=1, description="Requests of one address at once after a pause.")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not self.allow_unauthenticated and not is_loopback(self.host):
            msg = (
                f"host {self.host} can be reached from other machines, and the API runs code for whoever reaches it: "
                "bind 127.0.0.1, or say --allow-unauthenticated if you mean it"
            )
            raise ValueError(msg)
        return self


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
