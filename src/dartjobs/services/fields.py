"""Pydantic's findings as problems of fields."""

from collections.abc import Iterable, Mapping
from typing import Any

from dartjobs.models.problem import FieldProblem

_NOT_OF_THE_DOCUMENT = {"body", "query", "path", "header"}


def field_problems(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """What is wrong with which field, by its place in the document that was sent."""
    found = []
    for one in errors:
        place = [str(part) for part in one["loc"] if part not in _NOT_OF_THE_DOCUMENT]
        detail = str(one["msg"]).removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            detail = "is not a field of it: check its spelling, or leave it out"
        found.append(FieldProblem(field=".".join(place) or "body", detail=detail))
    return found
