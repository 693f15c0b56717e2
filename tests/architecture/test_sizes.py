from tools import sizes


def test_no_file_and_no_function_is_too_long_to_read_at_once() -> None:
    print(sizes.figures())  # noqa: T201 - shown when it fails, and by `make lint`
    assert sizes.too_long() == []


def test_a_function_is_measured_from_its_def_to_its_last_line() -> None:
    found = {piece.place.split()[-1]: piece.lines for piece in sizes.functions("tools")}
    assert found["_text"] == 2
