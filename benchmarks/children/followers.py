"""Follows one log over many connections, and remembers how long each line took to come."""

import asyncio
import json
import re
import sys
import time
from typing import Any, cast

from benchmarks import http
from benchmarks.children.lines import answer_lines, say
from dartjobs.cli.servers.serving import run

_LINE = re.compile(rb"@(\d+)@")
_AT_ONCE = 50


class Follower(asyncio.Protocol):
    """One reader; the log's lines begin with the time of their push, by the monotonic clock."""

    def __init__(self, request: bytes, delays: list[float]) -> None:
        self._request = request
        self._delays = delays
        self._rest = b""
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look at whole lines only."""
        now = time.monotonic_ns()
        if not self.answered.done():
            self.answered.set_result(data[9:12])
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        self._delays += [(now - int(at)) / 1e9 for at in _LINE.findall(whole)]


async def main(config: dict[str, Any]) -> None:
    """Connect all, then read; a line asks for the delays so far."""
    delays: list[float] = []
    request, address = http.request("GET", config["path"]), http.address(config["url"])
    followers: list[Follower] = []
    for start in range(0, config["count"], _AT_ONCE):
        size = min(_AT_ONCE, config["count"] - start)
        made = await asyncio.gather(
            *(
                asyncio.get_running_loop().create_connection(lambda: Follower(request, delays), *address)
                for _ in range(size)
            )
        )
        followers += [follower for _, follower in made]
        statuses = set(await asyncio.gather(*(follower.answered for _, follower in made)))
        if statuses != {b"200"}:
            msg = f"the API answered {statuses}"
            raise RuntimeError(msg)
    say({"followers": len(followers)})
    await answer_lines(lambda _: {"delays": delays})


if __name__ == "__main__":
    run(main(json.loads(sys.argv[1])))
