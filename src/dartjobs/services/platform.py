"""The parts that services work with."""

from dataclasses import dataclass, field

from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages
from dartjobs.blobs.uploads import Uploads
from dartjobs.bus.base import Bus
from dartjobs.services.submissions import Submissions
from dartjobs.services.tails import Tails
from dartjobs.services.watch import Watches
from dartjobs.store.database import Database


@dataclass(frozen=True, slots=True)
class Platform:
    """One installation: its database, its object store, its bus; and what requests of one process share."""

    database: Database
    bus: Bus
    packages: Packages
    uploads: Uploads
    logs: Logs
    submissions: Submissions = field(init=False, compare=False)
    tails: Tails = field(init=False, compare=False)
    watches: Watches = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "submissions", Submissions(self.database))
        object.__setattr__(self, "tails", Tails(self.database, self.bus, self.logs))
        object.__setattr__(self, "watches", Watches(self.database, self.bus))
