"""The parts that services work with."""

from dataclasses import dataclass

from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.base import Bus
from dartjobs.store.database import Database


@dataclass(frozen=True, slots=True)
class Platform:
    """One installation: its database, its object store, its bus."""

    database: Database
    bus: Bus
    packages: Packages
    uploads: Uploads
    logs: Logs
