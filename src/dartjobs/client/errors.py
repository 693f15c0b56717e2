"""What goes wrong between a client and its server, beside what the server itself answers."""

import json

from dartjobs.client.effects import Lost, Reply
from dartjobs.models.problem import DartJobsError, error_of


class ConnectionFailedError(DartJobsError, ConnectionError):
    """The server cannot be reached."""

    code = "connection-failed"


class WaitTimeoutError(DartJobsError, TimeoutError):
    """The job has not finished in the time given."""

    code = "wait-timeout"


def error_of_reply(reply: Reply, url: str) -> DartJobsError:
    """The exception for an answer with a status of 400 or above, with the request's id."""
    try:
        error = error_of(json.loads(reply.body))
    except (ValueError, TypeError, KeyError):
        text = reply.body[:200].decode("utf-8", "replace").strip()
        error = DartJobsError(f"{url} answered {reply.status}, not as a DART Jobs server does: {text or 'no text'}")
    error.request_id = error.request_id or reply.headers.get("x-request-id")
    error.retry_after = reply.retry_after
    return error


def error_of_loss(lost: Lost, url: str, *, after: float = 0.0) -> ConnectionFailedError:
    """The exception for no answer; `after` is for how many seconds it was tried in vain."""
    tried = f" for {after:.0f} s" if after >= 1 else ""
    return ConnectionFailedError(
        f"Cannot reach {url}{tried}: {lost.cause}. "
        "Start a server with `dartjobs up`, or name another with --url or DARTJOBS_URL."
    )


def doubtful_loss(lost: Lost, url: str) -> ConnectionFailedError:
    """The exception for a submission that was sent and not answered: the job may be there or not."""
    return ConnectionFailedError(
        f"{url} did not answer: {lost.cause}. The job may have been submitted all the same: "
        "look with `dartjobs list` before you submit it again."
    )
