"""Which server, namespace and user a client speaks to and for."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from dartjobs.models.problem import InvalidRequestError

DEFAULT_URL = "http://127.0.0.1:7878"
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    url: str
    """Without a slash at its end."""
    namespace: str
    user: str | None
    """Whom the server names as the one who asked; None where it cannot be told."""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, so that no proxy can be meant."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def resolve(
    url: str | None = None,
    namespace: str | None = None,
    user: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Target:
    """The argument, else the environment (`DARTJOBS_URL`, `DARTJOBS_NAMESPACE`), else what `dartjobs up` left behind.

    Raises:
        InvalidRequestError: the URL is none of HTTP.
    """
    chosen = url or environ.get("DARTJOBS_URL") or _url_left_by_up(default_data_dir(environ)) or DEFAULT_URL
    parts = urlsplit(chosen)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{chosen!r} is no URL of a server: write it like {DEFAULT_URL}"
        raise InvalidRequestError(msg)
    return Target(
        url=chosen.rstrip("/"),
        namespace=namespace or environ.get("DARTJOBS_NAMESPACE") or DEFAULT_NAMESPACE,
        user=user or _login_name(),
    )


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$DARTJOBS_DATA_DIR`, else `$XDG_DATA_HOME/dartjobs`, else `~/.local/share/dartjobs`."""
    if chosen := environ.get("DARTJOBS_DATA_DIR"):
        return Path(chosen)
    if xdg := environ.get("XDG_DATA_HOME"):
        return Path(xdg) / "dartjobs"
    return Path.home() / ".local" / "share" / "dartjobs"


def _url_left_by_up(data_dir: Path) -> str | None:
    try:
        return (data_dir / "url").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
