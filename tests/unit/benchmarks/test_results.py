from pathlib import Path

from benchmarks.results import save


def test_a_section_takes_the_place_of_its_last_one_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    save(path, "wait", "How long.", "a machine", ["p50: 20 ms"])
    save(path, "idle", "What it costs.", "a machine", ["CPU: 1 %"])
    save(path, "wait", "How long.", "another machine", ["p50: 10 ms"])
    text = path.read_text()
    assert text.count("## ") == 2
    assert text.index("## idle") < text.index("## wait")
    assert "p50: 10 ms" in text
    assert "p50: 20 ms" not in text
    assert "CPU: 1 %" in text
    assert "`python -m benchmarks wait`, another machine" in text
