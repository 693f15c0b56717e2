"""From what a caller hands in to a `JobSpec` and the folder to be packed with it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from dartjobs.client.drafts import Draft, drafted
from dartjobs.client.effects import Json
from dartjobs.client.spec_problems import field_problems
from dartjobs.models.problem import InvalidRequestError
from dartjobs.models.spec import JobSpec


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
    return drafted(checked(merged), working_dir)


def checked(fields: Mapping[str, Any]) -> Json:
    """The fields that were set, as they are sent: the server's own defaults fill the rest.

    Raises:
        InvalidRequestError: they make no JobSpec; its `errors` name the fields and what is allowed.
    """
    try:
        return JobSpec.model_validate(fields).model_dump(mode="json", by_alias=True, exclude_unset=True)
    except ValidationError as error:
        raise InvalidRequestError(errors=field_problems(error, JobSpec)) from error


def _as_mapping(spec: JobSpec | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if isinstance(spec, BaseModel):
        return spec.model_dump(by_alias=True, exclude_unset=True)
    return spec or {}
