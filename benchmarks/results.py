"""`RESULTS.md`: what was measured, a section for each benchmark, each rewritten by its own run."""

import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """# Results

What the benchmarks measured: each line a figure, beside what there is to beat, beside the goal. Medians, with the range
in brackets; a ratio is ours to theirs, over interleaved pairs where both were measured in turn. A section is written by
`python -m benchmarks NAME --save`. Load generators share the machine with what they measure.
"""


def save(path: Path, name: str, summary: str, head: str, lines: list[str]) -> None:
    """Put a benchmark's section into the file in place of its last one."""
    sections = _sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    figures = "\n".join(f"- {line}" for line in lines)
    sections[name] = f"{summary}\n\n`python -m benchmarks {name}`, {head}\n\n{figures}\n"
    body = "\n".join(f"## {title}\n{sections[title]}" for title in sorted(sections))
    path.write_text(f"{_HEAD}\n{body}", encoding="utf-8")


def _sections(text: str) -> dict[str, str]:
    pieces = re.split(r"^## (\S+)\n", text, flags=re.MULTILINE)[1:]
    return {title: body.strip() + "\n" for title, body in zip(pieces[::2], pieces[1::2], strict=True)}
