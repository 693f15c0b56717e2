"""What is killed when: decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Blow:
    """SIGKILL to all of these at once, and how long they stay away."""

    after: float
    """Seconds since the last one's end."""
    targets: tuple[str, ...]
    down: float
    """Seconds."""


def blows(seed: int, targets: Sequence[str], *, calm: float, longest_down: float) -> Iterator[Blow]:
    """Each target alone in some order, then all together; again and again, in another order."""
    luck = random.Random(seed)
    while True:
        for hit in [(one,) for one in luck.sample(list(targets), len(targets))] + [tuple(targets)]:
            yield Blow(luck.uniform(0.2, 1.0) * calm, hit, luck.uniform(0.0, longest_down))
        some = luck.sample(list(targets), luck.randrange(2, max(3, len(targets))))
        yield Blow(luck.uniform(0.2, 1.0) * calm, tuple(some), luck.uniform(0.0, longest_down))
