"""Which server, namespace and user a client speaks to and for."""

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dartjobs.client.contexts import Context, config_path, read_contexts
from dartjobs.models.problem import InvalidRequestError

DEFAULT_URL = "http://127.0.0.1:7878"
DEFAULT_NAMESPACE = "default"
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    url: str
    """Without a slash at its end."""
    namespace: str
    user: str | None
    """Whom the server names as the one who asked; None where it cannot be told."""
    context: str | None = None
    """The name of the context that had a say."""
    ca_file: str | None = None
    """The authority that is trusted in the place of the system's."""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, so that no proxy can be meant."""
        return _LOOPBACK.fullmatch(urlsplit(self.url).hostname or "") is not None

    @property
    def headers(self) -> dict[str, str]:
        """What every request says."""
        return {} if self.user is None else {"x-dartjobs-user": _printable(self.user)}


def resolve(
    url: str | None = None,
    namespace: str | None = None,
    user: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    context: str | None = None,
) -> Target:
    """Choose each value by itself.

    The argument, else what the context says that an argument names, else the environment (`DARTJOBS_URL`,
    `DARTJOBS_NAMESPACE`, `DARTJOBS_USER`), else what the context says that `DARTJOBS_CONTEXT` or the file's `current`
    names, else what `dartjobs up` left behind.

    Raises:
        InvalidRequestError: the URL is none of HTTP, the file cannot be understood, or there is no such context.
    """
    name, said = _context(context, environ)
    over, under = (said, Context()) if context else (Context(), said)
    chosen = url or over.url or environ.get("DARTJOBS_URL") or under.url
    ca_file = environ.get("DARTJOBS_CA_FILE") or (said.ca_file if chosen == said.url else None)
    chosen = chosen or _url_left_by_up(default_data_dir(environ)) or DEFAULT_URL
    return Target(
        url=checked_url(chosen),
        namespace=namespace
        or over.namespace
        or environ.get("DARTJOBS_NAMESPACE")
        or under.namespace
        or DEFAULT_NAMESPACE,
        user=user or over.user or environ.get("DARTJOBS_USER") or under.user or _login_name(),
        context=name,
        ca_file=None if ca_file is None else os.path.expanduser(ca_file),  # noqa: PTH111 - ssl takes a text
    )


def checked_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        InvalidRequestError: it is none of HTTP.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        good = False
    if not good:
        msg = f"{url!r} is no URL of a server: write it like {DEFAULT_URL}"
        raise InvalidRequestError(msg)
    return url.rstrip("/")


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$DARTJOBS_DATA_DIR`, else `$XDG_DATA_HOME/dartjobs`, else `~/.local/share/dartjobs`."""
    if chosen := environ.get("DARTJOBS_DATA_DIR"):
        return Path(chosen)
    if xdg := environ.get("XDG_DATA_HOME"):
        return Path(xdg) / "dartjobs"
    return Path.home() / ".local" / "share" / "dartjobs"


def _context(named: str | None, environ: Mapping[str, str]) -> tuple[str | None, Context]:
    contexts = read_contexts(config_path(environ))
    name = named or environ.get("DARTJOBS_CONTEXT") or contexts.current
    return (name, contexts.get(name)) if name else (None, Context())


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


def _printable(text: str) -> str:
    """A header holds ASCII only."""
    return text.encode("ascii", "backslashreplace").decode() if text.isprintable() else ascii(text)
