"""Reading a request by hand, with the same problems as FastAPI's way."""

import re
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from dartjobs.models.problem import FieldProblem, InvalidRequestError, UnsupportedMediaTypeError
from dartjobs.services.fields import field_problems

M = TypeVar("M", bound=BaseModel)


def fitting(field: str, text: str, pattern: re.Pattern[str]) -> str:
    """The text.

    Raises:
        InvalidRequestError: it does not fit.
    """
    if not pattern.fullmatch(text):
        raise InvalidRequestError(errors=[FieldProblem(field, f"String should match pattern '{pattern.pattern}'")])
    return text


async def json_body(request: Request) -> bytes:
    """The body.

    Raises:
        UnsupportedMediaTypeError: it says that it is no JSON.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        msg = f"The body is {kind!r}; send Content-Type: application/json."
        raise UnsupportedMediaTypeError(msg)
    return await request.body()


def parsed(model: type[M], body: bytes) -> M:
    """The body as a model.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequestError(errors=field_problems(error.errors())) from None
