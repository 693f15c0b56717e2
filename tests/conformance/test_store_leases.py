"""One holder at a time; the time without one is blind."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from dartjobs.store import leases
from dartjobs.store.database import StaleError
from tests.fakes.engines import ENGINES
from tests.fakes.platform import MINUTE, platform_at, take_lease


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_lease_that_is_held_is_not_given_to_another(tmp_path: Path, engine: str) -> None:
    async with platform_at(tmp_path, engine) as platform:
        mine = await take_lease(platform, holder="one")
        other = partial(leases.acquire, name="local", holder="two", duration=MINUTE)
        assert await platform.database.write(other) is None
        await platform.database.write(partial(leases.renew, lease=mine, duration=timedelta(0)))
        theirs = await platform.database.write(other)
        assert theirs is not None
        assert theirs.epoch == mine.epoch + 1
        with pytest.raises(StaleError):
            await platform.database.write(partial(leases.renew, lease=mine, duration=MINUTE))
