"""Prints how long our files and functions are: `python -m tools.sizes`. Fails where one is too long to read at once."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE, LONGEST_FUNCTION = 400, 40
"""Lines, docstrings and comments included."""
_OURS = ("src", "benchmarks", "tests", "testbed", "tools", "demo", "examples")
_FROZEN = ROOT / "src/dartjobs/store/migrations/versions"
"""A migration is written once and never changed: it may be as long as the tables are many."""


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A file or a function."""

    lines: int
    place: str


def files(folder: str) -> list[Piece]:
    """Every Python file under a folder of the repository."""
    return [Piece(len(_text(path).splitlines()), _place(path)) for path in _paths(folder)]


def functions(folder: str) -> list[Piece]:
    """Every function under a folder of the repository, from `def` to its last line."""
    return [piece for path in _paths(folder) for piece in _functions_of(path)]


def too_long() -> list[Piece]:
    """What is longer than it may be."""
    long_files = [piece for folder in _OURS for piece in files(folder) if piece.lines > LONGEST_FILE]
    return long_files + [piece for folder in _OURS for piece in functions(folder) if piece.lines > LONGEST_FUNCTION]


def figures() -> str:
    """A table of how many there are, their median, their 90 % quantile and the longest."""
    head = f"{'':20}{'count':>7}{'median':>8}{'90 %':>7}{'longest':>9}"
    rows = [
        _row(f"{folder}: {kind}", pieces)
        for folder in _OURS
        for kind, pieces in (("files", files(folder)), ("functions", functions(folder)))
        if pieces
    ]
    return "\n".join([head, *rows])


def main() -> int:
    """Print the figures, and what is too long; 1 if anything is."""
    print(figures())
    long = too_long()
    for piece in long:
        print(f"{piece.place}: {piece.lines} lines; at most {LONGEST_FILE} a file, {LONGEST_FUNCTION} a function")
    return 1 if long else 0


def _paths(folder: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / folder).rglob("*.py")) if path.parent != _FROZEN)


def _functions_of(path: Path) -> Iterator[Piece]:
    for node in ast.walk(ast.parse(_text(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Piece((node.end_lineno or node.lineno) - node.lineno + 1, f"{_place(path)}:{node.lineno} {node.name}")


def _row(name: str, pieces: list[Piece]) -> str:
    lines = [piece.lines for piece in pieces]
    tenths = quantiles(lines, n=10, method="inclusive") if len(lines) > 1 else lines
    longest = max(pieces)
    return f"{name:20}{len(lines):>7}{median(lines):>8.0f}{tenths[-1]:>7.0f}{longest.lines:>9}  {longest.place}"


def _place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
