"""Which jobs are meant: the filters of a list and of a stop of many."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

Params = tuple[tuple[str, str], ...]


class Filters(TypedDict, total=False):
    """Only jobs for which all that is given holds."""

    state: str | Iterable[str]
    """In this job state, or in one of these."""
    user: str | None
    """Submitted by this user."""
    name: str | None
    """Of this name."""
    cluster: str | None
    """Whose latest attempt was claimed by this cluster."""
    selector: str | Mapping[str, str] | None
    """With such labels: a mapping, or a Kubernetes label selector like `team=vision,stage in (dev, test)`."""
    submitted_after: datetime | str | None
    """Submitted at this time or later; a text is RFC 3339."""
    submitted_before: datetime | str | None
    """Submitted before this time."""
    active: bool | None
    """True: not finished. False: finished."""


def params_of(filters: Filters) -> Params:
    """As the API takes them. A time without a zone is one of this machine's."""
    state, selector, active = filters.get("state") or (), filters.get("selector"), filters.get("active")
    params = [("state", str(one)) for one in ((state,) if isinstance(state, str) else state)]
    texts = {
        "user": filters.get("user"),
        "name": filters.get("name"),
        "cluster": filters.get("cluster"),
        "selector": _equalities(selector) if isinstance(selector, Mapping) else selector,
        "submitted_after": _rfc3339(filters.get("submitted_after")),
        "submitted_before": _rfc3339(filters.get("submitted_before")),
        "active": None if active is None else str(active).lower(),
    }
    return (*params, *((key, text) for key, text in texts.items() if text is not None))


def _equalities(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _rfc3339(at: datetime | str | None) -> str | None:
    return at.astimezone().isoformat() if isinstance(at, datetime) else at
