"""From a URL to a bus."""

from dartjobs.bus.base import Bus
from dartjobs.bus.memory import MemoryBus
from dartjobs.bus.polling import PollingBus
from dartjobs.bus.settings import BusSettings

_REDIS = ("redis://", "rediss://", "unix://")


def open_bus(settings: BusSettings) -> Bus:
    """The bus that the URL names. A Redis that is away is no error: see `RedisBus`.

    Raises:
        ValueError: there is no such bus.
    """
    if settings.url == "memory:":
        return MemoryBus()
    if settings.url == "polling:":
        return PollingBus()
    if settings.url.startswith(_REDIS):
        from dartjobs.bus.redis import RedisBus  # noqa: PLC0415 - it takes 80 ms to import, for some alone

        return RedisBus(settings.url, settings.prefix)
    msg = f"DARTJOBS_BUS_URL={settings.url} is no bus: memory:, polling: or redis://…"
    raise ValueError(msg)
