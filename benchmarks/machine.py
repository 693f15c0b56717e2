"""The machine on which a figure was measured, and what a process of it uses."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil


def head() -> str:
    """Date, cores, load average and versions: what a figure is worth depends on them."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    now = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{now}; {os.cpu_count()} cores, {memory:.0f} GiB, load average {load}; "
        f"Python {platform.python_version()}, Linux {platform.release()}"
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used up to a moment."""

    cpu: float
    """Seconds, user and system."""
    rss: int
    """Bytes in memory now."""


def usage(pid: int) -> Usage:
    """Of a living process, without its children."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    return Usage(times.user + times.system, process.memory_info().rss)
