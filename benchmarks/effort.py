"""How long a benchmark may take."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """`brief` shows that a benchmark works; its figures are rough."""

    brief: bool = False

    def of(self, whole: T, brief: T) -> T:
        """The one that applies."""
        return brief if self.brief else whole
