"""`python -m tests.chaos.sync_service`: what `dartjobs server sync` is, with the driver of bare processes."""

import os
from pathlib import Path

from dartjobs.cli.servers import logs, standalone
from tests.fakes.process_driver import ProcessDriver

if __name__ == "__main__":
    logs.configure("info", "text")
    root, cpu = Path(os.environ["CHAOS_PROCESSES"]), int(os.environ.get("CHAOS_CPU", "64"))
    standalone.sync(lambda _: ProcessDriver(root, cpu), cluster=None)
