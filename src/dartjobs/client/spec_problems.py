"""What is wrong with a spec, in the words of its user: the field, and what is allowed there."""

import re
from collections.abc import Iterable
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dartjobs.models.problem import FieldProblem
from dartjobs.models.spec import DnsLabel

_DNS_LABEL = get_args(DnsLabel)[1].pattern
_NAMED_FIELD = re.compile(r"([a-z_]+): (.+)", re.DOTALL)
_MARKS = re.compile(r"constrained-str|list\[.*\]|\[key\]")
"""How pydantic names the branches of a union and the key of a mapping in a place."""
_WRONG_BRANCH = {"string_type", "list_type"}
"""What a union says of the branch that was not meant."""


def field_problems(error: ValidationError, model: type[BaseModel]) -> list[FieldProblem]:
    """One problem for each field that is wrong, in the order of the fields.

    A union reports every one of its branches: only what is said of the branch that was meant is kept.
    """
    by_path: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for one in error.errors(include_url=False, include_input=False):
        by_path.setdefault(_path(one["loc"]), []).append(one)
    return [
        _problem(path, found, model) for path, found in by_path.items() if not _is_about_a_part(path, found, by_path)
    ]


def _path(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return tuple(part for part in loc if not (isinstance(part, str) and _MARKS.fullmatch(part)))


def _is_about_a_part(
    path: tuple[str | int, ...], found: list[ErrorDetails], all_paths: Iterable[tuple[str | int, ...]]
) -> bool:
    """Whether the branch that was meant has a problem further down."""
    deeper = any(other[: len(path)] == path for other in all_paths if len(other) > len(path))
    return deeper and all(one["type"] in _WRONG_BRANCH for one in found)


def _problem(path: tuple[str | int, ...], found: list[ErrorDetails], model: type[BaseModel]) -> FieldProblem:
    meant = [one for one in found if one["type"] not in _WRONG_BRANCH] or found
    details = dict.fromkeys(_detail(one, path, model) for one in meant)
    detail = " — or: ".join(details)
    named = _NAMED_FIELD.fullmatch(detail)
    fields = _fields(model, path)
    if named and named[1] in fields:
        return FieldProblem(field=_dotted((*path, named[1])), detail=named[2])
    return FieldProblem(field=_dotted(path), detail=detail)


def _detail(one: ErrorDetails, path: tuple[str | int, ...], model: type[BaseModel]) -> str:
    match one["type"]:
        case "missing":
            return "it is required"
        case "extra_forbidden":
            return f"there is no such field; there are {', '.join(_fields(model, path[:-1]))}"
        case "string_pattern_mismatch" if one["ctx"]["pattern"] == _DNS_LABEL:
            return "lower case letters, digits and `-`, a letter or digit at both ends, at most 63 characters"
        case _:
            text = one["msg"].removeprefix("Value error, ")
            return text.replace("Input should be", "it should be").replace("String should", "it should")


def _fields(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The names of the fields of the model at `path`; none where there is no model."""
    at: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        field = at.model_fields.get(part) if at else None
        at = _model_in(field.annotation) if field else None
    return [field.alias or name for name, field in at.model_fields.items()] if at else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {list, Union, UnionType}:
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "spec"
