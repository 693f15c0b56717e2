"""What routes take from a request."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from pydantic import StringConstraints

from dartjobs.api.problems import documented
from dartjobs.api.settings import ApiSettings
from dartjobs.models.cluster import ClusterName
from dartjobs.models.job import JobId
from dartjobs.models.spec import DnsLabel
from dartjobs.services.platform import Platform


async def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


async def _settings(request: Request) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


UsesPlatform = Annotated[Platform, Depends(_platform)]
UsesSettings = Annotated[ApiSettings, Depends(_settings)]
Namespace = Annotated[DnsLabel, Path()]
Id = Annotated[JobId, Path(description="The job's id.")]
Name = Annotated[ClusterName, Path(description="The cluster's name.")]
IDEMPOTENCY_KEY = r"^[\x20-\x7e]{1,255}$"
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(pattern=IDEMPOTENCY_KEY)] | None,
    Header(
        description="The same key with the same body is the same request, however often it is sent: "
        "its first answer's jobs are answered again, with `Idempotency-Replayed: true`."
    ),
]
REPLAYED = "Idempotency-Replayed"
CONFLICT: dict[int | str, dict[str, Any]] = documented(409)
