"""What routes take from a request."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from pydantic import StringConstraints

from dartjobs.api.settings import ApiSettings
from dartjobs.models.job import JobId
from dartjobs.models.spec import DnsLabel
from dartjobs.services.platform import Platform


def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


def _settings(request: Request) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


def _user(
    x_dartjobs_user: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")] | None,
        Header(description="Who asks; recorded as given until identity exists."),
    ] = None,
) -> str:
    return x_dartjobs_user or "anonymous"


UsesPlatform = Annotated[Platform, Depends(_platform)]
UsesSettings = Annotated[ApiSettings, Depends(_settings)]
User = Annotated[str, Depends(_user)]
Namespace = Annotated[DnsLabel, Path()]
Id = Annotated[JobId, Path(description="The job's id.")]
