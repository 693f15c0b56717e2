"""The sweep of packages that nothing uses, every so often."""

import asyncio
import logging
from datetime import timedelta

from dartjobs.controller.settings import ControllerSettings
from dartjobs.models.problem import DartJobsError
from dartjobs.services import packages
from dartjobs.services.platform import Platform

_FIRST_AFTER = timedelta(minutes=1)
"""A server that starts has more urgent things to do, and one that is often restarted sweeps all the same."""

_log = logging.getLogger(__name__)


async def sweep_packages(platform: Platform, settings: ControllerSettings) -> None:
    """Sweep until cancelled. It needs no lease: two that sweep at once do no harm."""
    pause = min(settings.package_sweep, _FIRST_AFTER)
    while True:
        await asyncio.sleep(pause.total_seconds())
        pause = settings.package_sweep
        try:
            swept = await packages.sweep(platform, settings.package_retention)
        except DartJobsError as error:
            _log.warning("packages are to be swept later: %s", error)
        except Exception:  # noqa: BLE001 - a fault here must not end the controller
            _log.exception("packages could not be swept: this is a fault of the platform")
        else:
            if swept:
                _log.info("swept %d packages that nobody had used for %s", swept, settings.package_retention)
