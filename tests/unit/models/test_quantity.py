"""Quantities and durations read as Kubernetes writes them, and read back as they were written."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartjobs.models.quantity import (
    LONGEST_DURATION,
    format_cpu,
    format_duration,
    format_memory,
    parse_duration,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("2Gi", str(2 * 2**30)),
        ("1G", str(10**9)),
        (3, "3"),
        ("0.5Gi", str(2**29)),
    ],
)
def test_a_quantity_is_read(text: object, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "lots", "-1", "2GB", "1e3", "2 Gi", "NaN", True, None, [1]])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**7))
def test_cores_read_back(millis: int) -> None:
    cores = Decimal(millis) / 1000
    assert parse_quantity(format_cpu(cores)) == cores


@given(st.integers(0, 2**60))
def test_bytes_read_back(size: int) -> None:
    assert parse_quantity(format_memory(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("24h", 86_400), ("1h30m", 5_400), ("7d", 604_800), (45, 45), ("0.5s", 0.5)],
)
def test_a_duration_is_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 minutes", "1m2h", "400d", "9" * 40, "999999999d24h", "s", None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), LONGEST_DURATION))
def test_durations_read_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value
