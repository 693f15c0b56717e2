import pytest

from benchmarks.figures import Figure, Samples, at_least, at_most, one, quantiles, quantity, ratio


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, "s", "1.23 s"),
        (0.0123, "s", "12.3 ms"),
        (0.000_8, "s", "800 us"),
        (5_123.4, "/s", "5,123/s"),
        (0.5, "/s", "0.5/s"),
        (512 * 2**20, "bytes", "512 MiB"),
        (0.123, "%", "0.123 %"),
        (1.3, "x", "1.3x"),
        (0, "jobs", "0 jobs"),
    ],
)
def test_quantities_have_few_digits_and_a_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_figure_is_one_line_with_median_range_rival_goal_and_verdict() -> None:
    ours, theirs = Samples((300, 100, 200), "/s"), Samples((100, 100, 100), "/s")
    met = Figure("single", ours, ("theirs", theirs), at_least(150, "/s"), "a note")
    assert str(met) == (
        "single: 200/s (100/s to 300/s, n=3) | beside theirs: 100/s (100/s to 100/s, n=3) | 2x | "
        "goal >= 150/s: met | a note"
    )
    assert str(Figure("cpu", one(2, "%"), goal=at_most(1, "%"))) == "cpu: 2 % | goal <= 1 %: NOT met"


def test_the_ratio_of_interleaved_samples_is_the_median_of_their_pairs() -> None:
    drifting = Samples((1, 2, 30), "s"), Samples((2, 4, 60), "s")
    assert ratio(*drifting) == 0.5
    assert ratio(Samples((1, 2, 30), "s"), one(4, "s")) == 0.5


def test_the_tail_is_the_nearest_rank() -> None:
    middle, tail = quantiles("delay", [float(number) for number in range(1, 101)], goal=at_most(1, "s"))
    assert middle.ours.median == 50.5
    assert tail.ours.median == 100
    assert tail.goal is None
