"""What an operator lets pods have, beyond what a job may ask for: a read-only file of named profiles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter

from dartjobs.drivers.base import FinalDriverError
from dartjobs.models.spec import DEFAULT_PROFILE, DnsLabel, Strict


class Profile(Strict):
    """The part of every pod of a Ray cluster that is the operator's; fields are named and shaped as in a PodSpec."""

    image: str | None = None
    node_selector: dict[str, str] = Field(default={}, alias="nodeSelector")
    tolerations: list[dict[str, Any]] = Field(default=[])
    priority_class_name: str | None = Field(default=None, alias="priorityClassName")
    service_account_name: str | None = Field(default=None, alias="serviceAccountName")
    image_pull_secrets: list[str] = Field(default=[], alias="imagePullSecrets", description="Names of Secrets.")
    volumes: list[dict[str, Any]] = Field(default=[])
    volume_mounts: list[dict[str, Any]] = Field(default=[], alias="volumeMounts")
    run_as_user: int = Field(
        default=1_000, alias="runAsUser", ge=0, description="1000 is `ray` in Ray's own images; 0, root, if it must be."
    )


_PROFILES: TypeAdapter[dict[DnsLabel, Profile]] = TypeAdapter(dict[DnsLabel, Profile])


def read_profiles(path: Path | None) -> dict[str, Profile]:
    """The profiles of a file, and `default` if it does not say another one.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what it should be; says where.
    """
    if path is None:
        return {DEFAULT_PROFILE: Profile()}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        msg = f"{path} is no YAML: {error}"
        raise ValueError(msg) from error
    return {DEFAULT_PROFILE: Profile()} | _PROFILES.validate_python(found)


def choose_profile(profiles: Mapping[str, Profile], name: str) -> Profile:
    """The one that a job names.

    Raises:
        FinalDriverError: there is none of that name.
    """
    if name not in profiles:
        msg = f"This cluster has no profile {name!r}; it has: {', '.join(sorted(profiles))}"
        raise FinalDriverError(msg)
    return profiles[name]
