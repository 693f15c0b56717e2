"""The local driver's settings."""

import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where Ray clusters of this machine live, and how much of the machine they may be promised."""

    data_dir: Path
    """Holds `clusters/<attempt>/`, a folder for each Ray cluster, and `machine-id`, the driver's identity."""
    cpu: Decimal | None = None
    """Cores; None: those that this process may use."""
    memory: int | None = None
    """Bytes; None: the machine's."""
    gpu: int | None = None
    """GPUs; None: as many as there are `/dev/nvidia<number>`."""
    python: Path = Path(sys.executable)
    """The interpreter whose environment has Ray; jobs run in it, its `bin` is the first on their PATH."""
    temp_root: Path = Path("/tmp")  # noqa: S108 - a folder of mode 0700 is made in it
    """Where Ray keeps its sessions. Short, because the path of a Unix socket has at most 107 bytes."""
    stop_patience: float = 20.0
    """Seconds until a keeper that was asked to end everything, and still lives, is killed."""
