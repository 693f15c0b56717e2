"""A platform on a database of any engine and an object store in memory: real parts, small."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from obstore.store import ObjectStore

from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.base import Bus
from dartjobs.bus.memory import MemoryBus
from dartjobs.services.platform import Platform
from dartjobs.store import leases
from dartjobs.store.database import Database
from dartjobs.store.leases import Lease
from tests.fakes.engines import database_on

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def platform_at(folder: Path, engine: str = "sqlite") -> AsyncIterator[Platform]:
    """A fresh platform on this engine; a SQLite database lies in this folder."""
    async with database_on(engine, folder) as database:
        yield parts_of(database, MemoryBus(), open_store("memory://"))


def parts_of(database: Database, bus: Bus, store: ObjectStore) -> Platform:
    """A platform of these parts."""
    return Platform(database, bus, Packages(store), Uploads(store), Logs(store))


async def take_lease(platform: Platform, name: str = "local", holder: str = "test") -> Lease:
    """The lease of a cluster, under a new epoch."""
    lease = await platform.database.write(partial(leases.acquire, name=name, holder=holder, duration=MINUTE))
    assert lease is not None
    return lease
