import re
from pathlib import Path

import pytest

from dartjobs.models.state import LEGAL_PAIRS, MOVES
from tools import docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("page", sorted(docs.pages()), ids=lambda page: page.name)
def test_what_docs_take_from_the_code_is_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == docs.pages()[page], "write it anew: make docs"


def test_the_diagram_shows_every_pair_one_beginning_and_every_end() -> None:
    diagram = docs.state_diagram()
    assert all(f'"{pair}"' in diagram for pair in LEGAL_PAIRS)
    assert diagram.count("[*] -->") == 1
    assert diagram.count("--> [*]") == sum(not targets for targets in MOVES.values())


def test_a_page_without_its_markers_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state-machine.md").write_text("# No markers\n")
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    with pytest.raises(ValueError, match=r"state-machine\.md has no line"):
        docs.pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
