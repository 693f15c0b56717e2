"""What every server process is made of: database, object store, bus, and who the installation is."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.open import open_bus
from dartjobs.bus.settings import BusSettings
from dartjobs.cli.servers.settings import ConfigurationError, ServerSettings, read
from dartjobs.models.problem import DartJobsError, UnavailableError
from dartjobs.services.platform import Platform
from dartjobs.store.database import Database
from dartjobs.store.meta import get_or_set
from dartjobs.store.migrate import is_current
from dartjobs.store.settings import DatabaseSettings

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 2.0


class NotMigratedError(DartJobsError):
    """The database's schema is not that of this version."""

    code = "not-migrated"


@dataclass(frozen=True, slots=True)
class Parts:
    """One process's hold on an installation."""

    platform: Platform
    installation: str
    settings: ServerSettings
    holder: str
    """What this process is called where it holds a lease: no other one ever has this name."""


@asynccontextmanager
async def opened_database() -> AsyncIterator[Database]:
    """The database of `DARTJOBS_DATABASE_URL`.

    Raises:
        ConfigurationError: it is not named as it should be.
    """
    database = Database(read(DatabaseSettings))
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_parts() -> AsyncIterator[Parts]:
    """Everything, once the database answers: a server that is started while it is away waits for it.

    Raises:
        ConfigurationError: something is not configured as it should be.
        NotMigratedError: the schema is older than this version.
    """
    settings = read(ServerSettings)
    if not settings.object_store_url:
        msg = "DARTJOBS_OBJECT_STORE_URL is not set: s3://bucket/prefix, or file:///folder that every server sees."
        raise ConfigurationError(msg)
    try:
        store, bus = open_store(settings.object_store_url), open_bus(read(BusSettings))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    async with opened_database() as database:
        try:
            installation = await _installation(database)
            platform = Platform(database, bus, Packages(store), Uploads(store), Logs(store))
            yield Parts(platform, installation, settings, _holder())
        finally:
            await bus.close()


async def identify(database: Database) -> str:
    """The installation's id, made with its database."""
    return await database.write(partial(get_or_set, name="installation", fresh=secrets.token_hex(8)))


async def _installation(database: Database) -> str:
    while True:
        try:
            if await is_current(database):
                return await identify(database)
        except UnavailableError as error:
            _log.warning("waiting for the database: %s", error)
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            msg = "The database's schema is not that of this version. Run: dartjobs db upgrade"
            raise NotMigratedError(msg)


def _holder() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
