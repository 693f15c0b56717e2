"""What the cluster holds, in bulk: an attempt of which nothing changed needs no look of its own."""

from collections.abc import Iterable

from dartjobs.drivers.base import Held


class Survey:
    """Compares what is held now with what was held before."""

    def __init__(self) -> None:
        self._before: dict[str, Held] | None = None

    def changed(self, held: Iterable[Held]) -> set[str]:
        """Attempts of which something came, changed or went since the last time; none, the first time."""
        now = {one.attempt_id: one for one in held}
        before, self._before = self._before, now
        if before is None or before == now:
            return set()
        came_or_changed = {one for one, held_now in now.items() if before.get(one) != held_now}
        return came_or_changed | (before.keys() - now.keys())
