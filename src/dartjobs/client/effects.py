"""What a flow asks of its shell, and what it is answered.

A flow is a generator: it holds the whole protocol of a call (requests, retries, reconnecting) and does no I/O. It
yields an effect, a shell performs it and sends back the answer. Both clients are such shells.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

Json = dict[str, Any]
"""An object as the wire has it: a newer server may say more in it than this client knows."""

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request below the server's URL."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Path | None = None
    """A path: the bytes of that file."""
    span: tuple[int, int] | None = None
    """Of a file only the bytes from the first offset up to the second."""
    silence: float | None = None
    """Seconds without a byte after which it is lost; None: the client's own limit."""
    on_sent: Callable[[int], object] | None = None
    """Called with the bytes of a file that are sent so far."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. After `Open` with a status below 400, its body is still to be read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the server named them; its other form, a date, is passed over."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer, or none to the end."""

    cause: str
    delivered: bool = True
    """False: no byte of the request can have reached the server."""
    silent: bool = False
    """The connection stood, and nothing came in time."""
    hint: str = ""
    """What to do about it; empty: the usual."""
    final: bool = False
    """To try again cannot help."""


@dataclass(frozen=True, slots=True)
class Send:
    """Answered by `Reply | Lost`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send, and keep the body open for `Read`, in the place of one opened before. Answered by `Reply | Lost`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """The next bytes of the open body. Answered by `bytes`, `None` at its end, or `Lost`."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let so many seconds pass. Answered by `None`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit(Generic[_T]):
    """Hand a value to the caller. Answered by `None`."""

    value: _T


Effect = Send | Open | Read | Sleep

Call = Generator[Effect, Any, _R]
"""A flow with a result."""

Stream = Generator[Effect | Emit[_T], Any, _R]
"""A flow that emits values of `_T` on its way to its result."""
