"""Rate limits: the generic cell rate algorithm, one number for each key.

The algorithm is ITU-T I.371's; as Brandur Leach describes it for APIs: https://brandur.org/rate-limiting
"""

import time
from collections.abc import Callable

from dartjobs.models.problem import RateLimitedError

_MOST_KEYS = 100_000


class RateLimit:
    """So many requests a second of each key, and a burst after a pause. Of this process; nothing is shared."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Make one.

        Args:
            per_second: requests of one key; 0 limits nothing.
            burst: requests of one key at once after a pause.
            clock: seconds that never go back.
        """
        self._interval = 1.0 / per_second if per_second > 0 else 0.0
        self._tolerance = self._interval * (burst - 1)
        self._clock = clock
        self._due: dict[str, float] = {}
        """When each key's next request would be due if it kept to the rate; one in the past says nothing."""

    def take(self, key: str) -> None:
        """Count a request.

        Raises:
            RateLimitedError: it is one too many; `retry_after` says when it is not.
        """
        if not self._interval:
            return
        now = self._clock()
        due = max(self._due.get(key, now), now)
        wait = due - self._tolerance - now
        if wait > 0:
            error = RateLimitedError(f"Too many requests of {key}; the next is welcome in {wait:.1f} s.")
            error.retry_after = wait
            raise error
        if len(self._due) >= _MOST_KEYS:
            self._due = {one: at for one, at in self._due.items() if at > now}
        self._due[key] = due + self._interval
