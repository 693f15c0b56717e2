"""What `dartjobs` exits with, so that scripts can tell what happened."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dartjobs.client.effects import Json


USAGE = 2
REFUSED = 65
"""EX_DATAERR of sysexits.h."""
NOT_FOUND = 66
"""EX_NOINPUT."""
UNAVAILABLE = 69
"""EX_UNAVAILABLE."""
INTERNAL = 70
"""EX_SOFTWARE."""
TIMEOUT = 124
"""As timeout(1)."""
INTERRUPTED = 130
"""128 + SIGINT."""
BROKEN_PIPE = 141
"""128 + SIGPIPE."""
STOPPED = 143
"""128 + SIGTERM."""

HELP = f"""\b
Exit codes:
  0    done; the awaited job succeeded
  N    the awaited job failed, with exit code N of its own (1 where it has none)
  {USAGE}    this command was not understood
  {REFUSED}   the request or the job's spec was refused
  {NOT_FOUND}   there is no such job
  {UNAVAILABLE}   the server cannot be reached, or cannot answer now
  {INTERNAL}   the server failed
  {TIMEOUT}  the time to wait is over; the job goes on
  {INTERRUPTED}  interrupted by Ctrl-C; a job that was awaited goes on
  {STOPPED}  the awaited job was stopped"""

_LARGEST = 255


def of_job(job: "Json") -> int:
    """A finished job's: its own exit code, but never 0 unless it succeeded."""
    state = job["attempt"]["job_state"]
    if state == "SUCCEEDED":
        return 0
    own = min(max(job["attempt"]["exit_code"] or 0, 0), _LARGEST)
    return own or (STOPPED if state == "STOPPED" else 1)


def of_error(error: Exception) -> int:
    """What an error of the client or the server is told with."""
    from dartjobs.client.errors import ConnectionFailedError, WaitTimeoutError
    from dartjobs.models.problem import DartJobsError, NotFoundError, RateLimitedError, UnavailableError

    match error:
        case WaitTimeoutError():
            return TIMEOUT
        case ConnectionFailedError() | RateLimitedError() | UnavailableError():
            return UNAVAILABLE
        case NotFoundError():
            return NOT_FOUND
        case DartJobsError() if error.code != DartJobsError.code:
            return REFUSED
        case _:
            return INTERNAL
