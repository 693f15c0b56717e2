"""What every server process reads from its environment, once."""

from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dartjobs.models.problem import DartJobsError, FieldProblem

S = TypeVar("S", bound=BaseSettings)


class ConfigurationError(DartJobsError):
    """The server is not configured as it should be."""

    code = "invalid-configuration"


class ServerSettings(BaseSettings):
    """Environment variables `DARTJOBS_…` of every server."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_", frozen=True)

    object_store_url: str = Field(
        default="",
        description="Where packages and logs are kept: `s3://bucket/prefix` (its credentials in the variables that "
        "AWS's own tools read), or `file:///folder` that every server sees.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="A file of 32 random bytes or more in hex (`openssl rand -hex 32`), the same for every gateway and "
        "Sync Service: runners' tokens are derived from it.",
    )
    drain_seconds: int = Field(
        default=10, ge=0, description="On SIGTERM, requests that are being answered get so long to end."
    )


class LocalClusterSettings(BaseSettings):
    """Environment variables `DARTJOBS_LOCAL_…` of `server sync --driver local`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_LOCAL_", frozen=True)

    data_dir: Path | None = Field(default=None, description="Where Ray clusters of this machine live.")
    cpu: Decimal | None = Field(default=None, description="Cores to promise; by default those there are.")
    memory: int | None = Field(default=None, description="Bytes to promise; by default the machine's.")
    gpu: int | None = Field(default=None, description="GPUs to promise; by default those there are.")


def read(kind: type[S], **given: object) -> S:
    """Settings from the environment; what is `given` and not None goes before it.

    Raises:
        ConfigurationError: they are not valid; names the variables.
    """
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        problems = [
            FieldProblem(field=(prefix + ".".join(map(str, one["loc"]))).upper() or kind.__name__, detail=one["msg"])
            for one in error.errors()
        ]
        raise ConfigurationError(errors=problems) from None


def secret_of(settings: ServerSettings) -> bytes:
    """The secret from which runners' tokens are derived.

    Raises:
        ConfigurationError: there is none, or it is too short.
    """
    path, shortest = settings.secret_file, 32
    if path is None:
        msg = "DARTJOBS_SECRET_FILE is not set. Make one with: openssl rand -hex 32 > secret; chmod 600 secret"
        raise ConfigurationError(msg)
    try:
        secret = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        msg = f"DARTJOBS_SECRET_FILE={path} cannot be read: {error}"
        raise ConfigurationError(msg) from error
    if len(secret) < shortest:
        msg = f"DARTJOBS_SECRET_FILE={path} has {len(secret)} bytes; {shortest} are needed: openssl rand -hex 32"
        raise ConfigurationError(msg)
    return secret
