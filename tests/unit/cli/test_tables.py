import pytest

from dartjobs.cli.tables import cut, laid_out, wide

HEAD = ("ID", "NAME", "STATE", "REASON", "CLUSTER")
ROWS = [("job-" + "0" * 26, "a-rather-long-name-of-a-job", "RUNNING", "DRIVER_STARTED", "east")]


@pytest.mark.parametrize("width", [20, 40, 50, 60, 80, 100, 200])
def test_a_table_fits_a_terminal_and_ids_and_states_stay_whole(width: int) -> None:
    lines = laid_out(HEAD, ROWS, width).splitlines()
    assert all(len(line) <= max(width, 30) for line in lines)
    assert lines[1].startswith(ROWS[0][0])
    assert ("STATE" in lines[0]) == ("RUNNING" in lines[1])


def test_wide_characters_and_marks_are_counted_as_a_terminal_shows_them() -> None:
    assert [wide(text) for text in ("abc", "日本", "e\u0301", "🎉")] == [3, 4, 1, 2]
    assert cut("日本語", 5) == "日本…"
    assert cut("日本語", 6) == "日本語"
    lines = laid_out(("NAME", "X"), [("日本", "1"), ("abc", "2")], None).splitlines()
    assert [wide(line.rpartition(" ")[0]) for line in lines] == [5, 5, 5]
