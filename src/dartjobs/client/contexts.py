"""Named contexts: which server, namespace and user are meant by `dev` or `prod`, in a TOML file of the user's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dartjobs.models.problem import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Context:
    """What the file says under `[contexts.NAME]`; None is not said."""

    url: str | None = None
    namespace: str | None = None
    user: str | None = None
    ca_file: str | None = None
    """The certificates, in PEM, of the authority that is trusted in the place of the system's."""


KEYS = tuple(field.name for field in fields(Context))


@dataclass(frozen=True, slots=True)
class Contexts:
    """The file."""

    path: Path
    current: str | None
    named: Mapping[str, Context]

    def get(self, name: str) -> Context:
        """The context of this name.

        Raises:
            InvalidRequestError: there is none.
        """
        if name not in self.named:
            names = ", ".join(sorted(self.named)) or "none yet: `dartjobs context set NAME --url URL` makes one"
            msg = f"There is no context {name!r} in {self.path}; there are {names}"
            raise InvalidRequestError(msg)
        return self.named[name]


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """`$DARTJOBS_CONFIG`, else `$XDG_CONFIG_HOME/dartjobs/config.toml`, else `~/.config/dartjobs/config.toml`."""
    if chosen := environ.get("DARTJOBS_CONFIG"):
        return Path(chosen)
    if xdg := environ.get("XDG_CONFIG_HOME"):
        return Path(xdg) / "dartjobs" / "config.toml"
    return Path.home() / ".config" / "dartjobs" / "config.toml"


def read_contexts(path: Path) -> Contexts:
    """What the file holds; one that is not there holds nothing.

    Raises:
        InvalidRequestError: it cannot be read, is no TOML, or says what is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Contexts(path, None, {})
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}"
        raise InvalidRequestError(msg) from error
    import tomllib

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is no TOML: {error}"
        raise InvalidRequestError(msg) from error
    return _checked(path, found)


def _checked(path: Path, found: dict[str, Any]) -> Contexts:
    unknown = sorted(found.keys() - {"current", "contexts"})
    named, current = found.get("contexts", {}), found.get("current")
    if unknown or not isinstance(named, dict) or not isinstance(current, str | None):
        msg = f'{path}: write `current = "NAME"` and tables `[contexts.NAME]`' + (
            f", and no {', '.join(unknown)}" if unknown else ""
        )
        raise InvalidRequestError(msg)
    return Contexts(path, current, {name: _context(path, name, table) for name, table in named.items()})


def _context(path: Path, name: str, table: object) -> Context:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        msg = f"{path}: [contexts.{name}] holds texts, for {', '.join(KEYS)}"
        raise InvalidRequestError(msg)
    if unknown := sorted(table.keys() - set(KEYS)):
        msg = f"{path}: [contexts.{name}] has no {', '.join(unknown)}; there are {', '.join(KEYS)}"
        raise InvalidRequestError(msg)
    return Context(**table)
