from datetime import timedelta

import pytest

from dartjobs.cli.tables import table
from dartjobs.cli.text import Cleaner, clean
from dartjobs.cli.times import short

LOG = (
    "plain \x1b[1;31mred\x1b[0m\ttab\r\n"
    "\x1b]0;a title\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\ "
    "\x1b[2J\x1b[10;1H\x1b[?1049h\x1bc\x1bP1$r\x1b\\\x07\x08\x9b31m\u202e é€🎉\n"
    "\x1b]unterminated\nnext\n"
).encode()
SHOWN = "plain \x1b[1;31mred\x1b[0m\ttab\r\nlink 31m é€🎉\n\nnext\n".encode() + b"\x1b[0m"


@pytest.mark.parametrize("at", range(len(LOG) + 1))
def test_a_log_keeps_its_colours_and_nothing_else_that_a_terminal_obeys(at: int) -> None:
    cleaner = Cleaner()
    assert cleaner.feed(LOG[:at]) + cleaner.feed(LOG[at:]) + cleaner.finish() == SHOWN


def test_a_log_is_the_same_byte_by_byte() -> None:
    cleaner = Cleaner()
    assert b"".join(cleaner.feed(bytes([byte])) for byte in LOG) + cleaner.finish() == SHOWN


def test_a_sequence_that_never_ends_hides_nothing_for_long() -> None:
    cleaner = Cleaner()
    shown = cleaner.feed(b"\x1b]0;" + b"x" * 10_000)
    assert len(shown) > 5_000
    assert b"\x1b" not in shown


def test_what_is_no_utf_8_is_shown_as_such() -> None:
    cleaner = Cleaner()
    assert cleaner.feed(b"a\xff\xc3") + cleaner.finish() == "a��".encode()


def test_a_message_becomes_one_harmless_line() -> None:
    assert clean("two\nlines \x1b[31mred\x1b[0m\x1b]0;title\x07 \x00\x9b\u202eend\x1b") == "two lines red end"


def test_a_table_cuts_nothing_and_marks_what_is_empty() -> None:
    long = "x" * 300
    assert table(("A", "B"), [(long, ""), ("y", "z\nz")]) == f"A{' ' * 299}  B\n{long}  -\ny{' ' * 299}  z z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (310, "5m10s"),
        (11_520, "3h12m"),
        (86_400, "1d"),
        (367_200, "4d6h"),
        (-5, "0s"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text
