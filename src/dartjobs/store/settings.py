"""The database's settings, read once by whoever opens it."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = ("sqlite+aiosqlite", "mysql+asyncmy", "mariadb+asyncmy")


class DatabaseSettings(BaseSettings):
    """Environment variables `DARTJOBS_DATABASE_…`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_DATABASE_", frozen=True)

    url: SecretStr = Field(description="Such as `mysql+asyncmy://user:password@host:3306/dartjobs`.")
    pool_size: int = Field(default=10, ge=1, description="Connections for transactions; as many more for reading.")
    pool_timeout: float = Field(default=5.0, gt=0, description="Seconds to wait for a free connection, then 503.")
    pool_recycle: float = Field(
        default=1_800.0, gt=0, description="Seconds after which a connection is replaced: below the server's limits."
    )
    connect_timeout: int = Field(default=5, ge=1, description="Seconds to wait for the server to take a connection.")
    lock_timeout: int = Field(default=5, ge=1, description="Seconds to wait for a row that another transaction holds.")
    idle_timeout: int = Field(
        default=10,
        ge=2,
        description="Seconds after which the server ends a session that asks for nothing: a process that stands still "
        "in the middle of a transaction keeps its locks for no longer. Below the leases' duration.",
    )
    transaction_timeout: float = Field(
        default=15.0, gt=0, description="Seconds for one run of a transaction; not on SQLite."
    )
    retry_seconds: float = Field(
        default=10.0, gt=0, description="Seconds in which a transaction is run again, whole, then 503."
    )
    tls_ca: Path | None = Field(
        default=None, description="PEM file of who signs the server's certificate: turns TLS on."
    )
    tls_cert: Path | None = Field(default=None, description="PEM file of our own certificate, with its key.")

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        try:
            driver = make_url(url.get_secret_value()).drivername
        except ArgumentError:
            driver = "nothing of the kind"  # the text may hold a password: it is not repeated
        if driver not in DRIVERS:
            msg = f"the URL must begin with {', '.join(f'{one}://' for one in DRIVERS)}; this one names {driver}"
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _certificate_is_used(self) -> Self:
        if self.tls_cert is not None and self.tls_ca is None:
            msg = "tls_cert needs tls_ca: without it there is no TLS"
            raise ValueError(msg)
        return self
