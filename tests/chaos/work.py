"""The jobs: each writes its start and its end into a ledger, the truth outside the platform."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dartjobs.models.state import JobState

CODE = 3
"""What jobs that fail exit with."""
_RAY = """\
import ray
ray.init(log_to_driver=False)
double = ray.remote(lambda number: 2 * number)
assert ray.get([double.remote(number) for number in range(4)]) == [0, 2, 4, 6]
"""


class Kind(StrEnum):
    """What a job does, and so how it must end."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    IS_RETRIED = "is-retried"
    """Its first attempt fails."""
    IS_STOPPED = "is-stopped"
    """Runs for ever, until it is stopped."""


ENDS = {
    Kind.SUCCEEDS: JobState.SUCCEEDED,
    Kind.FAILS: JobState.FAILED,
    Kind.IS_RETRIED: JobState.SUCCEEDED,
    Kind.IS_STOPPED: JobState.STOPPED,
}


@dataclass(frozen=True)
class Work:
    """One job to submit."""

    key: str
    """For `Idempotency-Key`."""
    kind: Kind
    seconds: float
    """How long its driver runs."""
    lines: int
    """Of its log."""
    stop_after: float
    """Seconds from its submission, where it is to be stopped."""

    def log(self) -> list[str]:
        """What the log of an attempt that was not stopped holds, in this order."""
        return [f"line {number} of {self.key}" for number in range(1, self.lines + 1)]

    def spec(self, ledger: Path, round_name: str, *, ray: bool) -> dict[str, Any]:
        """The job's specification."""
        retries = {"user": 1} if self.kind is Kind.IS_RETRIED else {}
        if ray:
            retries["infrastructure"] = 5  # a busy machine ends a head of Ray now and then
        return {
            "name": f"chaos-{self.kind}",
            "entrypoint": self._script(ledger, ray=ray),
            "head": {"cpu": 1, "memory": "1Gi"},
            "stop_grace_period": 1,
            "retries": retries,
            "labels": {"round": round_name, "kind": self.kind.value, "work": self.key},
        }

    def _script(self, ledger: Path, *, ray: bool) -> str:
        code = {Kind.FAILS: str(CODE), Kind.IS_RETRIED: "$((DARTJOBS_ATTEMPT == 1 ? 3 : 0))"}.get(self.kind, "0")
        half = self.lines // 2
        body = f"python -c '{_RAY}' > /dev/null 2>&1 || exit 70" if ray else f"sleep {self.seconds:.2f}"
        wait = "sleep 3600" if self.kind is Kind.IS_STOPPED else body
        return f"""\
id=$DARTJOBS_JOB_ID-$DARTJOBS_ATTEMPT
echo "start $id $$" >> {ledger}
seq -f 'line %.0f of {self.key}' 1 {half}
{wait}
seq -f 'line %.0f of {self.key}' {half + 1} {self.lines}
code={code}
echo "end $id $code" >> {ledger}
exit $code
"""


def works(seed: int, count: int, longest: float) -> Iterator[Work]:
    """Jobs of every kind: most succeed."""
    luck = random.Random(seed)
    kinds = [Kind.SUCCEEDS] * 6 + [Kind.FAILS, Kind.IS_RETRIED, Kind.IS_STOPPED, Kind.IS_STOPPED]
    for number in range(count):
        kind = luck.choice(kinds)
        seconds, lines = luck.uniform(0.0, longest), luck.randrange(2, 400)
        yield Work(f"{seed}-{number}", kind, seconds, lines, luck.uniform(0.0, 2 * longest))
