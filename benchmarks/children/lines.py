"""The child's side of `benchmarks.process`."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event


def say(answer: dict[str, Any]) -> None:
    """Write a line to whoever started this program."""
    print(json.dumps(answer), flush=True)


async def answer_lines(answer: Callable[[str], dict[str, Any]]) -> None:
    """Answer each line of the standard input, to its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(answer(line.decode().strip()))


class Statements:
    """Counts what this process sends to any database, except BEGIN, COMMIT and ROLLBACK."""

    def __init__(self) -> None:
        self.count = 0
        event.listen(Engine, "before_cursor_execute", self._on_execute)

    def _on_execute(self, _conn: object, _cursor: object, statement: str, *_more: object) -> None:
        self.count += not statement.startswith("BEGIN")
