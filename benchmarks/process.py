"""Child processes with a line of JSON to ask them by."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from typing import IO, Any

from benchmarks import machine

_PATIENCE = 120.0
_LONGEST_LINE = 2**26


class Child:
    """A program that says a line of JSON when it is ready, and answers each line with one."""

    def __init__(self, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def usage(self) -> machine.Usage:
        """What it has used so far."""
        return machine.usage(self.pid)

    async def ask(self, command: str = "") -> dict[str, Any]:
        """Send a line, if any, and read one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if command:
            self._process.stdin.write(f"{command}\n".encode())
        line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE)
        if not line:
            self._errors.seek(0)
            msg = f"a child ended: {self._errors.read().decode(errors='replace')[-3_000:]}"
            raise RuntimeError(msg)
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            await self.kill()


@contextlib.asynccontextmanager
async def child(
    module: str, config: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Child, dict[str, Any]]]:
    """`python -m module CONFIG`, and what it said when it was ready."""
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            json.dumps(config),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LONGEST_LINE,
            env=os.environ | (environment or {}),
        )
        started = Child(process, errors)
        try:
            yield started, await started.ask()
        finally:
            await started.end()
