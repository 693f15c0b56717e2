"""Text from others, made fit for a terminal, and coloured for people."""

import codecs
import os
import re
import sys

import click

_COLOURS = {"RUNNING": "cyan", "STOPPING": "yellow", "SUCCEEDED": "green", "FAILED": "red", "STOPPED": "yellow"}
_STRING = r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\|(?=[\n\x1b]))"
"""OSC, DCS, SOS, PM and APC of ECMA-48, up to their terminator; the end of the line ends them too."""
_CSI = r"\x1b\[[0-?]*[ -/]*[@-~]"
_SEQUENCE = re.compile(rf"(?P<sgr>\x1b\[[0-9;:]*m)|{_STRING}|{_CSI}|\x1b[ -/]*[0-~]")
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)?\Z")
"""A sequence whose rest may still come."""
_LONGEST_BEGUN = 4_096
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 but tab, newline and return, C1, and what turns the direction of writing."""


def clean(text: str) -> str:
    """On one line, without anything that a terminal would obey."""
    bare = _CONTROLS.sub("", _SEQUENCE.sub("", text)).replace("\x1b", "")
    return " ".join(bare.split())


class Cleaner:
    """Takes a log in any pieces and gives what a terminal may be shown: text, newlines and colours."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._coloured = False

    def feed(self, piece: bytes) -> bytes:
        """What can be shown now; the beginning of a sequence waits for its end."""
        text = self._held + self._decoder.decode(piece)
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST_BEGUN))
        self._held = text[begun.start() :] if begun else ""
        return self._cleaned(text.removesuffix(self._held) if self._held else text).encode()

    def finish(self) -> bytes:
        """What was held back, and the end of a colour."""
        rest = self._cleaned(self._held + self._decoder.decode(b"", final=True))
        return (rest + ("\x1b[0m" if self._coloured else "")).encode()

    def _cleaned(self, text: str) -> str:
        parts, at = [], 0
        for match in _SEQUENCE.finditer(text):
            parts.append(_plain(text[at : match.start()]))
            if match["sgr"]:
                self._coloured = True
                parts.append(match["sgr"])
            at = match.end()
        parts.append(_plain(text[at:]))
        return "".join(parts)


def _plain(text: str) -> str:
    return _CONTROLS.sub("", text).replace("\x1b", "")


def stdout_is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def coloured_state(state: str) -> str:
    """A state, coloured where stdout is a terminal and nobody set NO_COLOR (https://no-color.org)."""
    if not stdout_is_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return state
    return click.style(state, fg=_COLOURS.get(state))
