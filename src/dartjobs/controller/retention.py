"""What is kept for a time only."""

from functools import partial

from dartjobs.controller.settings import ControllerSettings
from dartjobs.services.platform import Platform
from dartjobs.store import idempotency
from dartjobs.store.database import now

_AT_ONCE = 1_000


async def forget_old(platform: Platform, settings: ControllerSettings) -> None:
    """Forget what is older than it has to be, in small transactions.

    Raises:
        UnavailableError: the database is away.
    """
    moment = await platform.database.read(now) - settings.idempotency
    forget = partial(idempotency.forget_before, moment=moment, limit=_AT_ONCE)
    while await platform.database.write(forget) == _AT_ONCE:
        pass
