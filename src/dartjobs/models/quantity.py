"""Quantities as Kubernetes writes them (`500m`, `2Gi`) and durations (`90s`, `10m`, `24h`).

The suffixes are those of Kubernetes's resource.Quantity:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_QUANTITY = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)(m|[KMGTP]i|[kMGTP])?")
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_MOST_DIGITS = 9
MOST = 2**62
"""No quantity is larger."""
_KEPT = 1_024
"""Jobs ask for the same few amounts over and over: each is read and written once."""
LONGEST_DURATION = timedelta(days=366)


def parse_quantity(value: object) -> Decimal:
    """A Kubernetes quantity as a number of its base unit (cores, bytes).

    Raises:
        ValueError: it is no quantity, or negative.
    """
    return _quantity_of_text("" if isinstance(value, bool) else str(value).strip())


@lru_cache(_KEPT)
def _quantity_of_text(text: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        msg = f"{text!r} is no quantity: write a number with a Kubernetes suffix, like 500m, 2, 512Mi or 2Gi"
        raise ValueError(msg)
    number, suffix = Decimal(match[1]), match[2]
    if suffix is not None:
        number = number / 1000 if suffix == "m" else number * (_BINARY | _DECIMAL)[suffix]
    if number > MOST:
        msg = f"{text!r} is more than anything has"
        raise ValueError(msg)
    return number


@lru_cache(_KEPT)
def format_cpu(cores: Decimal) -> str:
    """Cores as Kubernetes writes them: `2`, `500m`."""
    return str(int(cores)) if cores == int(cores) else f"{int(cores * 1000)}m"


@lru_cache(_KEPT)
def format_memory(size: int) -> str:
    """Bytes with the largest binary suffix that keeps them exact: `2Gi`, `1536Mi`, `1000`."""
    for suffix, factor in reversed(_BINARY.items()):
        if size and size % factor == 0:
            return f"{size // factor}{suffix}"
    return str(size)


def parse_duration(value: object) -> timedelta:
    """A duration such as `90s`, `10m`, `1h30m`, `24h`, `7d`; a bare number counts seconds.

    Raises:
        ValueError: it is no duration, negative, or longer than 366 days.
    """
    result = value if isinstance(value, timedelta) else _duration_of_text(str(value).strip())
    if not timedelta(0) <= result <= LONGEST_DURATION:
        msg = f"a duration lies between 0s and 366d; this is {result}"
        raise ValueError(msg)
    return result


def _duration_of_text(text: str) -> timedelta:
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        return timedelta(seconds=float(text))
    match = _DURATION.fullmatch(text)
    if not text or match is None or any(part and len(part) > _MOST_DIGITS for part in match.groups()):
        msg = f"{text!r} is no duration: write it like 90s, 10m, 1h30m, 24h or 7d"
        raise ValueError(msg)
    parts = zip(match.groups(default="0"), _UNITS.values(), strict=True)
    seconds = sum(float(part) * unit for part, unit in parts)
    return timedelta(seconds=min(seconds, 2 * LONGEST_DURATION.total_seconds()))  # beyond it `timedelta` overflows


@lru_cache(_KEPT)
def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same: `90s` is `1m30s`."""
    whole, micros = divmod(value // timedelta(microseconds=1), 1_000_000)
    text = ""
    for unit, size in _UNITS.items():
        count, whole = divmod(whole, size)
        if unit == "s" and micros:
            text += f"{count}.{micros:06}".rstrip("0") + "s"
        elif count:
            text += f"{count}{unit}"
    return text or "0s"


Cpu = Annotated[
    Decimal,
    BeforeValidator(lambda value: parse_quantity(value).quantize(Decimal("0.001"))),
    PlainSerializer(format_cpu, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["500m", "2"], "description": "cores, a Kubernetes quantity"}),
]
"""Cores, exact to 1/1000."""

Memory = Annotated[
    int,
    BeforeValidator(lambda value: int(parse_quantity(value))),
    PlainSerializer(format_memory, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["512Mi", "2Gi"], "description": "bytes, a Kubernetes quantity"}),
]
"""Bytes."""

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["90s", "10m", "24h"], "description": "a duration"}),
]
