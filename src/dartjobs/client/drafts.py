"""A job to be submitted: the fields of its spec as the wire has them, and the folder that goes with it."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dartjobs.client.effects import Json

_REF = re.compile(r"sha256:[0-9a-f]{64}")


def new_key() -> str:
    """An idempotency key of its own."""
    return os.urandom(16).hex()


def _no_check() -> None:
    """The server's word is enough."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A spec, and the folder that its working directory still is."""

    spec: Json
    folder: Path | None = None
    check: Callable[[], object] = _no_check
    """Called before a folder is uploaded: it may raise what is wrong with the spec."""

    def with_package(self, ref: str | None) -> Json:
        """The spec as it is submitted once the folder is a package."""
        if ref is None:
            return self.spec
        runtime_env = self.spec.get("runtime_env") or {}
        return {**self.spec, "runtime_env": {**runtime_env, "working_dir": ref}}


def drafted(spec: Json, working_dir: str | os.PathLike[str] | None, check: Callable[[], object] = _no_check) -> Draft:
    """The spec with a working directory, a folder or a package's reference, in the place of its own."""
    runtime_env = spec.get("runtime_env") or {}
    place = runtime_env.get("working_dir") if working_dir is None else os.fspath(working_dir)
    if place is None:
        return Draft(spec)
    if _REF.fullmatch(place):
        return Draft(Draft(spec).with_package(place))
    return Draft(spec, Path(place).expanduser(), check)
