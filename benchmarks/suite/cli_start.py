"""How long the command line takes to start: `dartjobs --help` and `dartjobs list`, beside `ray --help`."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import engines, ray_head
from benchmarks.commands import DARTJOBS, PYTHON_ALONE, in_turn
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples
from benchmarks.process import child


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Whole processes, in turn; `list` asks a server on this machine that has no jobs."""
    rounds = effort.of(15, 3)
    with tempfile.TemporaryDirectory() as folder:
        async with engines.fresh("sqlite", Path(folder)) as database:
            config = {"database": database, "objects": (Path(folder) / "objects").as_uri()}
            async with child("benchmarks.children.platform", config) as (_, urls):
                environment = {"DARTJOBS_URL": urls["api"]}
                bare, helped, listed, ray = await in_turn(
                    rounds,
                    (PYTHON_ALONE, {}),
                    ([DARTJOBS, "--help"], environment),
                    ([DARTJOBS, "list"], environment),
                    ([*ray_head.RAY, "--help"], ray_head.environment()),
                )
    beat = ("ray --help", Samples(ray, "s"))
    yield Figure("an empty Python, which nothing of it can beat", Samples(bare, "s"))
    yield Figure("dartjobs --help", Samples(helped, "s"), beat)
    yield Figure("dartjobs list", Samples(listed, "s"), beat)
