"""A figure: what was measured, beside what there is to beat, beside the goal; one line each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Samples:
    """Measurements of one thing; `unit` is one of `s`, `/s`, `bytes`, `%`, `x` or a word."""

    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def quantile(self, share: float) -> float:
        """The value below which `share` of them lie (nearest rank)."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def __str__(self) -> str:
        if len(self.values) == 1:
            return quantity(self.median, self.unit)
        low, high = (quantity(one, self.unit) for one in (min(self.values), max(self.values)))
        return f"{quantity(self.median, self.unit)} ({low} to {high}, n={len(self.values)})"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the figure should be."""

    text: str
    is_met: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a benchmark's output. The goal is about `ours.median`."""

    name: str
    ours: Samples
    beat: tuple[str, Samples] | None = None
    """Whose it is, and its measurements of the same run, or figures of others, which its name then says."""
    goal: Goal | None = None
    note: str = ""

    def __str__(self) -> str:
        parts = [f"{self.name}: {self.ours}"]
        if self.beat is not None:
            parts.append(f"beside {self.beat[0]}: {self.beat[1]}")
            parts.append(f"{ratio(self.ours, self.beat[1]):.3g}x")
        if self.goal is not None:
            verdict = "met" if self.goal.is_met(self.ours.median) else "NOT met"
            parts.append(f"goal {self.goal.text}: {verdict}")
        if self.note:
            parts.append(self.note)
        return " | ".join(parts)


def at_most(limit: float, unit: str) -> Goal:
    """The goal of something that should be small."""
    return Goal(f"<= {quantity(limit, unit)}", lambda value: value <= limit)


def at_least(limit: float, unit: str) -> Goal:
    """The goal of something that should be large."""
    return Goal(f">= {quantity(limit, unit)}", lambda value: value >= limit)


def one(value: float, unit: str) -> Samples:
    """A single measurement."""
    return Samples((value,), unit)


def quantiles(name: str, values: Sequence[float], **of_the_median: Goal | tuple[str, Samples] | None) -> list[Figure]:
    """The median and the 99 % quantile of durations in seconds, as two figures; goal and beat are the median's."""
    samples = Samples(values, "s")
    goal, beat = of_the_median.get("goal"), of_the_median.get("beat")
    middle = Figure(
        f"{name}, p50",
        samples,
        goal=goal if isinstance(goal, Goal) else None,
        beat=beat if isinstance(beat, tuple) else None,
    )
    return [middle, Figure(f"{name}, p99", one(samples.quantile(0.99), "s"))]


def ratio(ours: Samples, theirs: Samples) -> float:
    """Ours to theirs: the median over interleaved pairs where there are as many of both, else of the medians."""
    if len(ours.values) == len(theirs.values) and all(theirs.values):
        return median(mine / other for mine, other in zip(ours.values, theirs.values, strict=True))
    return ours.median / theirs.median if theirs.median else float("inf")


def quantity(value: float, unit: str) -> str:
    """A number with its unit, in three or four digits."""
    match unit:
        case "s":
            return _seconds(value)
        case "bytes":
            return f"{value / 2**20:,.4g} MiB"
        case "x" | "%":
            return f"{value:.3g}{unit}" if unit == "x" else f"{value:.3g} %"
        case _:
            number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
            return f"{number}{unit}" if unit.startswith("/") else f"{number} {unit}".strip()


def _seconds(value: float) -> str:
    for factor, name in ((1, "s"), (1_000, "ms")):
        if abs(value) * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1_000_000:.3g} us"
