"""Clusters, for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from dartjobs.cli.describe import facts
from dartjobs.cli.tables import table
from dartjobs.cli.times import moment, parsed, short
from dartjobs.client.effects import Json

_HEAD = ("NAME", "STATE", "CPU", "MEMORY", "GPU", "ATTEMPTS", "SEEN", "LABELS")


def overview(clusters: Sequence[Json], now: datetime) -> str:
    """A line each; of each resource what is used and what there is."""
    return table(_HEAD, [_row(one, now) for one in clusters])


def describe(one: Json, now: datetime) -> str:
    """One cluster, a line for each fact."""
    return facts(_facts(one, now))


def _row(one: Json, now: datetime) -> tuple[str, ...]:
    used = (_of(one, "cpu"), _of(one, "memory"), _of(one, "gpu"))
    seen = f"{short(now - parsed(one['seen_at']))} ago" if one["seen_at"] else "never"
    return (one["name"], one["state"], *used, str(one["attempts"]), seen, _labels(one))


def _facts(one: Json, now: datetime) -> Iterator[tuple[str, str]]:
    yield "Name", one["name"]
    yield "State", one["state"]
    yield "Identity", one["identity"] or "not seen yet"
    yield "CPU", f"{_of(one, 'cpu')} used"
    yield "Memory", f"{_of(one, 'memory')} used"
    yield "GPU", f"{_of(one, 'gpu')} used"
    yield "Elastic", "it may grow" if one["elastic"] else ""
    yield "Attempts", str(one["attempts"])
    yield "Limits", _limits(one["limits"])
    yield "Namespaces", ", ".join(one["namespaces"])
    yield "Placement", "" if one["placement"] == "first" else one["placement"]
    yield "Labels", _labels(one)
    yield "Cordoned", "it takes no new jobs" if one["cordoned"] else ""
    yield "Added", f"{moment(one['added_at'], now)} by {one['added_by']}" if one["added_at"] else "by its Sync Service"
    yield "Seen", moment(one["seen_at"], now)
    yield "Unreachable", moment(one["unreachable_since"], now)
    yield "Lost", f"{moment(one['lost_at'], now)} by {one['lost_by']}" if one["lost_at"] else ""


def _of(one: Json, resource: str) -> str:
    return f"{one['used'][resource]}/{one['capacity'][resource]}"


def _limits(limits: Json) -> str:
    units = {"jobs": "jobs", "cpu": "CPU", "memory": "memory", "gpu": "GPU"}
    return ", ".join(f"{limits[name]} {unit}" for name, unit in units.items() if limits[name] is not None)


def _labels(one: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in one["labels"].items())
