"""What an operator lets pods have, beyond what a job may ask for: a read-only file of named profiles."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter

from dartjobs.models.spec import DnsLabel, Strict

DEFAULT = "default"


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
        return {DEFAULT: Profile()}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        msg = f"{path} is no YAML: {error}"
        raise ValueError(msg) from error
    return {DEFAULT: Profile()} | _PROFILES.validate_python(found)
