"""`python -m tests.chaos.sync_service`: what `dartjobs server sync` is, with the driver of bare processes.

It can be made to stop itself (SIGSTOP) right before an act: after it read that the act is due, and before its effect.
"""

import os
import signal
from pathlib import Path

from dartjobs.cli.servers import logs, standalone
from dartjobs.drivers.base import Launch, Submission
from dartjobs.models.job import Attempt
from tests.fakes.process_driver import ProcessDriver


class PausableDriver(ProcessDriver):
    """Whoever finds `pauses/<act>` first takes it, leaves its process id in `paused/<act>`, and stops."""

    def __init__(self, root: Path, cpu: int) -> None:
        super().__init__(root, cpu)
        self._pauses, self._paused = root / "pauses", root / "paused"

    async def create(self, launch: Launch) -> None:
        self._pause("create")
        await super().create(launch)

    async def submit(self, submission: Submission) -> None:
        self._pause("submit")
        await super().submit(submission)

    async def stop_driver(self, attempt: Attempt) -> None:
        self._pause("stop_driver")
        await super().stop_driver(attempt)

    async def delete(self, attempt: Attempt, *, cluster_uid: str | None = None) -> None:
        self._pause("delete")
        await super().delete(attempt, cluster_uid=cluster_uid)

    def _pause(self, act: str) -> None:
        mine = self._pauses / f"{act}-{os.getpid()}"
        try:
            (self._pauses / act).rename(mine)
        except FileNotFoundError:
            return
        mine.write_text(str(os.getpid()))
        self._paused.mkdir(exist_ok=True)
        mine.rename(self._paused / act)
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    logs.configure("info", "text")
    root, cpu = Path(os.environ["CHAOS_PROCESSES"]), int(os.environ.get("CHAOS_CPU", "64"))
    standalone.sync(lambda *_: PausableDriver(root, cpu), cluster=None)
