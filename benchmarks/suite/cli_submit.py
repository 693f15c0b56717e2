"""`dartjobs submit` of code that has not changed, from its start to its exit, beside `ray job submit`."""

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import engines, ray_head
from benchmarks.commands import DARTJOBS, in_turn
from benchmarks.effort import Effort
from benchmarks.figures import Figure, Samples, at_most
from benchmarks.process import child

_TREES = {"20 files, 40 KiB": (20, 2 * 1024), "1,200 files, 48 MiB": (1_200, 40 * 1024)}
"""Number and size of the files."""
_LONG_AGO = 1_700_000_000
_SETTLED = 3.0
"""Seconds after which nobody has to doubt that a file of this age is what it was."""


async def run(effort: Effort) -> AsyncIterator[Figure]:
    """Both from the same folder, in turn; the first submits, which upload, are not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with engines.fresh("sqlite", folder) as database, ray_head.head(folder) as head:
            config = {"database": database, "objects": (folder / "objects").as_uri()}
            async with child("benchmarks.children.platform", config) as (_, urls):
                for title, (files, size) in _TREES.items():
                    tree = _tree(folder / f"tree-{files}", files, size)
                    await asyncio.sleep(_SETTLED)
                    yield await _in(tree, title, urls["api"], head, effort)


async def _in(tree: Path, title: str, url: str, head: str, effort: Effort) -> Figure:
    ours = [DARTJOBS, "submit", "--working-dir", str(tree), "--", "true"]
    theirs = [*ray_head.RAY, "job", "submit", "--no-wait", "--address", head, "--working-dir", str(tree), "--", "true"]
    rounds = effort.of(9, 2)
    cache = {"XDG_CACHE_HOME": str(tree.parent / "cache")}
    mine, others = await in_turn(
        rounds, (ours, {"DARTJOBS_URL": url} | cache), (theirs, ray_head.environment() | cache)
    )
    return Figure(title, Samples(mine, "s"), ("ray job submit --no-wait", Samples(others, "s")), at_most(0.15, "s"))


def _tree(root: Path, files: int, size: int) -> Path:
    """Files that do not compress, in folders of fifty; old enough that nobody doubts their times."""
    source = random.Random(files)
    for number in range(files):
        path = root / f"part-{number // 50}" / f"file-{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(size))
        os.utime(path, (_LONG_AGO, _LONG_AGO))
    return root
