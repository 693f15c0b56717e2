"""Nothing depends on the machine on which it was written."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = (".ci", "benchmarks", "demo", "docs", "examples", "src", "testbed", "tests", "tools")
_MACHINE = re.compile(r"(?<![\w.{}])/(?:work|root|Users)/")


def test_no_file_names_a_place_on_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if _MACHINE.search(line)
    ]
    assert found == []


def _files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != ".coverage")
    for folder in _FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
