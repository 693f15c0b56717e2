"""From what a caller hands in to a `JobSpec` and the folder to be packed with it."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dartjobs.client.spec_problems import field_problems
from dartjobs.models.problem import InvalidRequestError
from dartjobs.models.spec import JobSpec

_REF = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid spec, and the folder that its working directory still is."""

    spec: JobSpec
    folder: Path | None

    def with_package(self, ref: str) -> JobSpec:
        """The spec as it is submitted once the folder is a package."""
        return _with_working_dir(self.spec, ref)


def draft(
    spec: JobSpec | Mapping[str, Any] | None,
    *,
    entrypoint: str | Sequence[str] | None = None,
    working_dir: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Draft:
    """Merge them, the later ones over the earlier ones, and check the whole.

    Raises:
        InvalidRequestError: it is no JobSpec; its `errors` name the fields and what is allowed.
    """
    merged = {**_as_mapping(spec), **(fields or {})}
    if entrypoint is not None:
        merged["entrypoint"] = entrypoint if isinstance(entrypoint, str) else list(entrypoint)
    try:
        checked = JobSpec.model_validate(merged)
    except ValidationError as error:
        raise InvalidRequestError(errors=field_problems(error, JobSpec)) from error
    place = checked.runtime_env.working_dir if working_dir is None else os.fspath(working_dir)
    if place is None:
        return Draft(checked, None)
    if _REF.fullmatch(place):
        return Draft(_with_working_dir(checked, place), None)
    return Draft(checked, Path(place).expanduser())


def _as_mapping(spec: JobSpec | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if isinstance(spec, BaseModel):
        return spec.model_dump(by_alias=True, exclude_unset=True)
    return spec or {}


def _with_working_dir(spec: JobSpec, place: str) -> JobSpec:
    runtime_env = spec.runtime_env.model_copy(update={"working_dir": place})
    return spec.model_copy(update={"runtime_env": runtime_env})
