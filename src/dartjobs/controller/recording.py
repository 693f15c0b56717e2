"""Say that a move was recorded."""

import logging

from dartjobs.bus import base as topics
from dartjobs.services.platform import Platform
from dartjobs.store.attempts import Recorded

_log = logging.getLogger(__name__)


async def announce(platform: Platform, recorded: Recorded) -> None:
    """To the log of this process, and to those who watch the job or follow its log; a retry waits in the queue."""
    attempt, move = recorded.attempt, recorded.move
    _log.info("%s: %s -> %s (%s)", attempt.id, attempt.pair, move.target, move.reason)
    await platform.bus.publish(topics.job_topic(attempt.job_id))
    await platform.bus.publish(topics.log_topic(attempt.id))
    await platform.bus.publish(topics.QUEUE)
