"""Other programs, run to their end."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from testbed.errors import TestbedError

_LINES = 15


def run(
    argv: list[str],
    *,
    seconds: float = 900,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """What a program printed.

    Args:
        argv: the program and its arguments.
        seconds: after which it is killed.
        environment: beside this process's own.
        folder: where it runs; here by default.

    Raises:
        TestbedError: it is not there, failed, or took too long; with the last lines that it said.
    """
    known = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"} | dict(environment or {})
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=seconds, env=known, cwd=folder, errors="replace"
        )
    except FileNotFoundError as error:
        msg = f"this machine has no {argv[0]}: `python -m testbed cluster doctor` says what is needed"
        raise TestbedError(msg) from error
    except subprocess.TimeoutExpired as error:
        msg = f"{' '.join(argv[:3])} did not end within {seconds:.0f} s"
        raise TestbedError(msg) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        msg = "\n".join([f"{' '.join(argv[:3])} failed ({done.returncode}):", *said[-_LINES:]])
        raise TestbedError(msg)
    return done.stdout
