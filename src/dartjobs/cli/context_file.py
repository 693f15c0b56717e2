"""Changing the file of contexts: its comments and its order stay, and it is never half written."""

import os
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit

from dartjobs.models.problem import InvalidRequestError

Table = MutableMapping[str, Any]


@contextmanager
def changed(path: Path) -> Iterator[Table]:
    """The file as a mapping; what is changed in it is written in one step. A file of yours: nobody else may read it.

    Raises:
        InvalidRequestError: it cannot be written.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    yield document
    try:
        _replace(path.resolve(), tomlkit.dumps(document))
    except OSError as error:
        msg = f"{path} cannot be written: {error}"
        raise InvalidRequestError(msg) from error


def table_in(parent: Table, name: str) -> Table:
    """The table of this name, made where there is none."""
    if name not in parent:
        parent[name] = tomlkit.table(is_super_table=name == "contexts")
    found: Table = parent[name]
    return found


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
