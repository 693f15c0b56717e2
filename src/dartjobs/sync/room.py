"""What is left of a cluster for new attempts, kept in memory under the lease: nobody else promises anything of it."""

from collections.abc import Mapping

from dartjobs.core.queueing import ClusterView, Resources
from dartjobs.store.clusters import Registration


class Room:
    """What each live attempt was promised, and their sum."""

    def __init__(self, promised: Mapping[str, Resources]) -> None:
        self._promised = dict(promised)
        self._used = sum(self._promised.values(), Resources())

    def promise(self, attempt_id: str, need: Resources) -> None:
        """It was claimed."""
        self.free(attempt_id)
        self._promised[attempt_id] = need
        self._used += need

    def free(self, attempt_id: str) -> None:
        """Nothing of it is left."""
        before = self._promised.pop(attempt_id, None)
        if before is not None:
            self._used -= before

    def view(self, registration: Registration) -> ClusterView:
        """As placement sees the cluster, before what its operator has set."""
        held = len(self._promised)
        return ClusterView(registration.name, registration.capacity, self._used, registration.labels, held=held)
