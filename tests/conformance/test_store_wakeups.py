"""A wake-up that comes while an older one is processed is never lost."""

from functools import partial
from pathlib import Path

import pytest

from dartjobs.store import wakeups
from tests.fakes.engines import ENGINES
from tests.fakes.platform import platform_at


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_newer_wakeup_survives_the_end_of_an_older(tmp_path: Path, engine: str) -> None:
    put = partial(wakeups.put_wakeup, cluster="a", attempt_id="job-1-1")
    read = partial(wakeups.read_wakeups, cluster="a")
    async with platform_at(tmp_path, engine) as platform:
        database = platform.database
        await database.write(put)
        [first] = await database.read(read)
        await database.write(put)
        await database.write(partial(wakeups.delete_wakeup, cluster="a", wakeup=first))
        [second] = await database.read(read)
        assert second.gen != first.gen
        await database.write(partial(wakeups.delete_wakeup, cluster="a", wakeup=second))
        assert await database.read(read) == []
        assert await database.read(partial(wakeups.read_wakeups, cluster="b")) == []
