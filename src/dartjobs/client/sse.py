"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    kind: str
    data: str
    id: str | None
    """The latest id that the stream has shown, this event's or an earlier one's."""


class Parser:
    """Takes the stream's bytes in any pieces. An event that is cut off by the end is never handed out."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are complete now."""
        # A CR at the end may be half of a CRLF: it waits for what follows.
        text = (self._rest + piece).replace(b"\r\n", b"\n")
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, rest = text.removesuffix(held).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest + held
        for line in lines:
            if event := self._take(line.decode("utf-8", "replace")):
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case _:
                pass
        return None

    def _dispatch(self) -> Event | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data = "", []
        return Event(kind, "\n".join(data), self._id) if data else None
