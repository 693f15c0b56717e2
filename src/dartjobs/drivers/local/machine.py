"""What this machine has, and what runs on it."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import psutil

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.drivers.base import TemporaryDriverError
from dartjobs.drivers.local.keeper import TAG, send
from dartjobs.drivers.local.plan import Ports
from dartjobs.drivers.local.settings import LocalSettings

_PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives out by itself (net.ipv4.ip_local_port_range), so that none is taken in between."""


def capacity(settings: LocalSettings) -> Capacity:
    """What Ray clusters may be promised in all."""
    cpu = Decimal(_cores()) if settings.cpu is None else settings.cpu
    memory = psutil.virtual_memory().total if settings.memory is None else settings.memory
    return Capacity(Resources(cpu, memory, gpu_count(settings)))


def gpu_count(settings: LocalSettings) -> int:
    """How many GPUs the driver may give out."""
    return len(list(Path("/dev").glob("nvidia[0-9]*"))) if settings.gpu is None else settings.gpu


def free_gpus(total: int, taken: Iterable[int], count: int) -> list[int]:
    """The lowest device numbers that nobody has.

    Raises:
        TemporaryDriverError: there are not so many.
    """
    free = sorted(set(range(total)) - set(taken))
    if len(free) < count:
        msg = f"{count} GPUs are needed, and {len(free)} of {total} are free"
        raise TemporaryDriverError(msg)
    return free[:count]


def free_ports(taken: Iterable[int], start: int) -> Ports:
    """Ports of 127.0.0.1 that nobody has or was promised, looked for from `start` on.

    Raises:
        TemporaryDriverError: there are none.
    """
    found: list[int] = []
    promised = set(taken)
    for offset in range(len(_PORTS)):
        port = _PORTS[(start + offset) % len(_PORTS)]
        if port not in promised and _is_free(port):
            found.append(port)
        if len(found) == len(Ports._fields):
            return Ports(*found)
    msg = "no port of this machine is free"
    raise TemporaryDriverError(msg)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_tagged(attempt_id: str, patience: float = 5.0) -> bool:
    """Kill what a lost keeper left, found by its environment; whether nothing is left within `patience` seconds."""
    give_up = time.monotonic() + patience
    while left := _tagged(attempt_id):
        send(left, signal.SIGKILL)
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def _tagged(attempt_id: str) -> list[psutil.Process]:
    """With the tag, or below one that has it; a zombie has neither."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(TAG) == attempt_id:
                found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
    return [process for process in found.values() if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False
