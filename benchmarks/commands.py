"""Whole commands, timed from their start to their exit."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

DARTJOBS = str(Path(sys.executable).with_name("dartjobs"))
PYTHON_ALONE = [sys.executable, "-c", ""]

Command = tuple[Sequence[str], Mapping[str, str]]
"""Arguments, and what is added to the environment."""


async def in_turn(rounds: int, *commands: Command) -> list[list[float]]:
    """Seconds of each command's runs: A B A B …, after one of each that is not counted."""
    times: list[list[float]] = [[] for _ in commands]
    for number in range(rounds + 1):
        for taken, command in zip(times, commands, strict=True):
            seconds = await timed(command)
            if number:
                taken.append(seconds)
    return times


async def timed(command: Command) -> float:
    """Seconds from its start to its exit.

    Raises:
        RuntimeError: it failed.
    """
    arguments, environment = command
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=os.environ | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    seconds = time.perf_counter() - begin
    if process.returncode:
        msg = f"{' '.join(arguments)} ended with {process.returncode}: {said.decode(errors='replace')[-2_000:]}"
        raise RuntimeError(msg)
    return seconds
