"""Tables: whole in a pipe, fitted to the width of a terminal."""

import shutil
import unicodedata
from collections.abc import Sequence

from dartjobs.cli.text import clean, coloured_state, stdout_is_terminal

_GAP = 2
_NARROWEST = 8
_KEPT = ("ID", "STATE", "AT")
"""Columns that are never cut."""

Rows = Sequence[Sequence[str]]


def table(head: Sequence[str], rows: Rows) -> str:
    """As wide as it must be; on a terminal no wider than that, where columns are cut, the last of them left out."""
    width = shutil.get_terminal_size().columns if stdout_is_terminal() else None
    return laid_out(head, rows, width)


def laid_out(head: Sequence[str], rows: Rows, width: int | None) -> str:
    """Columns as wide as their widest cell, or narrower so that a line has at most `width` columns of a terminal."""
    cells = [list(head), *([clean(cell) or "-" for cell in row] for row in rows)]
    widest = [max(map(wide, column)) for column in zip(*cells, strict=True)]
    widths = widest if width is None else _fitted(head, widest, width)
    return "\n".join(_line(head, row, widths, is_head=number == 0) for number, row in enumerate(cells))


def wide(text: str) -> int:
    """Columns of a terminal that a text takes: wide characters take two, marks on the one before none."""
    if text.isascii():
        return len(text)
    return sum(map(_wide, text))


def cut(text: str, width: int) -> str:
    """The text, ended with `…` where it is wider."""
    if wide(text) <= width:
        return text
    kept, taken = "", 1
    for character in text:
        taken += _wide(character)
        if taken > width:
            break
        kept += character
    return f"{kept}…"


def _fitted(head: Sequence[str], widest: list[int], width: int) -> list[int]:
    """Cut the widest columns first; where that is not enough, leave out the last ones."""
    widths = list(widest)
    floors = [size if name in _KEPT else min(size, _NARROWEST) for name, size in zip(head, widest, strict=True)]
    while len(widths) > 1 and sum(floors) + _GAP * (len(floors) - 1) > width:
        widths.pop()
        floors.pop()
    while (over := sum(widths) + _GAP * (len(widths) - 1) - width) > 0:
        at = max(range(len(widths)), key=lambda index: widths[index] - floors[index])
        if widths[at] == floors[at]:
            break
        widths[at] = max(floors[at], widths[at] - over)
    return widths


def _line(head: Sequence[str], row: Sequence[str], widths: list[int], *, is_head: bool) -> str:
    parts = []
    for name, text, width in zip(head, row, widths, strict=False):
        shown = cut(text, width)
        padding = " " * (width - wide(shown))
        parts.append((shown if is_head or name != "STATE" else coloured_state(shown)) + padding)
    return (" " * _GAP).join(parts).rstrip()


def _wide(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
