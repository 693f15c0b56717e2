"""Which paths ignore files name; what git makes of the same files is compared in tests/properties/test_packaging.py."""

import pytest

from dartjobs.client.ignores import IgnoreFile, ignored, parse


def rules(text: str, *, kind: str = ".gitignore", base: str = "") -> IgnoreFile:
    file, invalid = parse(kind, base, text)
    assert invalid == []
    return file


@pytest.mark.parametrize(
    ("text", "path", "is_folder", "expected"),
    [
        ("*.log", "a/b.log", False, True),
        ("*.log\n!b.log", "a/b.log", False, False),
        ("build/", "build", False, False),
        ("build/", "a/build", True, True),
        ("/build", "a/build", True, False),
        ("data/**\n!data/keep", "data", True, False),
        ("data/**\n!data/keep", "data/other", False, True),
        ("data/**\n!data/keep", "data/keep", False, False),
        ("*\n!*/\n!*.py", "a", True, False),
        ("*\n!*/\n!*.py", "a/b.csv", False, True),
        ("naïve*", "naïve.txt", False, True),
        ("?.txt", "é.txt", False, True),
        ("a \r\nb", "a", False, True),
        ("a\\ ", "a ", False, True),
        ("#a\n\n/", "#a", False, False),
    ],
)
def test_the_last_rule_that_names_the_path_decides(text: str, path: str, is_folder: bool, expected: bool) -> None:  # noqa: FBT001 - a table
    assert ignored(path, [rules(text)], is_folder=is_folder) is expected


def test_an_inner_file_decides_over_an_outer_one() -> None:
    files = [rules("*.csv"), rules("!keep.csv", base="a/")]
    assert ignored("keep.csv", files[:1], is_folder=False)
    assert not ignored("a/keep.csv", files, is_folder=False)
    assert ignored("a/other.csv", files, is_folder=False)


def test_one_kind_cannot_bring_back_what_the_other_ignores() -> None:
    files = [rules("*.csv"), rules("!a.csv", kind=".rayignore")]
    assert ignored("a.csv", files, is_folder=False)


@pytest.mark.parametrize("line", ["x[[:digit:]]", "[b-a]", "[a/b]", "x[]/]", "[!a/b]c"])
def test_lines_that_are_not_understood_are_answered(line: str) -> None:
    file, invalid = parse(".gitignore", "", f"a\n{line}\nb")
    assert invalid == [line]
    assert len(file.rules) == 2
