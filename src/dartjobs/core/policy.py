"""The few durations that an operator sets for a whole installation."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """How often to look, and how long to wait for what may never come."""

    poll: timedelta = timedelta(milliseconds=250)
    """Between two looks while something is coming up or going down."""
    watch: timedelta = timedelta(minutes=30)
    """Between two looks at a job of which nothing is news: a net under wake-ups, deadlines and the bulk look."""
    slowest_poll: timedelta = timedelta(seconds=2)
    """As `poll`, when it takes long: looks grow rarer as time goes by."""
    unreachable: timedelta = timedelta(seconds=2)
    """Between two looks at a cluster that does not answer."""
    heartbeat_silence: timedelta = timedelta(seconds=25)
    """A gateway that is silent for longer has Ray asked about all its runners; a runner beats every 10 seconds."""
    ask: timedelta = timedelta(seconds=10)
    """Between two questions to Ray about a running job whose runner is silent."""
    log_grace: timedelta = timedelta(seconds=30)
    """How long the log's last bytes may take when the runner has not reported its end."""
    stop_repeat: timedelta = timedelta(seconds=15)
    """Ray is asked again to stop a driver that goes on for so long."""
    stop_margin: timedelta = timedelta(seconds=30)
    """Added to the grace period before the head is deleted under a driver that does not end."""
