"""From the flags of `cluster add` to the settings of a cluster."""

from collections.abc import Mapping
from typing import Any

from dartjobs.client.effects import Json


def settings_of(flags: Mapping[str, Any]) -> Json:
    """The body that registers it; the server checks it."""
    return {
        "labels": dict(flags["label"]),
        "limits": {name: flags[f"max_{name}"] for name in ("jobs", "cpu", "memory", "gpu")},
        "namespaces": list(flags["allow"]),
        "placement": flags["placement"],
    }
