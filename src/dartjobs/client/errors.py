"""What goes wrong between a client and its server, beside what the server itself answers."""

import json
from http import HTTPStatus

from dartjobs.client.effects import Json, Lost, Reply
from dartjobs.models.problem import DartJobsError, error_of

_START_ONE = "Start a server with `dartjobs up`, or name another with --url, DARTJOBS_URL or --context."


class ConnectionFailedError(DartJobsError, ConnectionError):
    """The server cannot be reached."""

    code = "connection-failed"


class WaitTimeoutError(DartJobsError, TimeoutError):
    """What was waited for has not come in the time given."""

    code = "wait-timeout"


class NotOurServerError(ConnectionFailedError):
    """What answers at this address is no DART Jobs server."""

    code = "not-our-server"


class RefusedError(DartJobsError):
    """The server refused the request, for a reason that this client is too old to know."""

    code = "refused"


def body_of(reply: Reply, url: str) -> Json:
    """The object in a good answer.

    Raises:
        NotOurServerError: it holds none.
    """
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _not_ours(reply, url)
    return found


def error_of_reply(reply: Reply, url: str) -> DartJobsError:
    """The exception for an answer with a status of 300 or above, with the request's id."""
    error: DartJobsError
    try:
        error = error_of(json.loads(reply.body))
        if type(error) is DartJobsError and reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            error = RefusedError(error.detail, errors=error.errors)
    except (ValueError, TypeError, KeyError):
        error = _not_ours(reply, url)
    error.request_id = error.request_id or reply.headers.get("x-request-id")
    error.retry_after = reply.retry_after
    return error


def error_of_loss(lost: Lost, url: str, *, after: float = 0.0) -> ConnectionFailedError:
    """The exception for no answer; `after` is for how many seconds it was tried in vain."""
    tried = f" for {after:.0f} s" if after >= 1 else ""
    return ConnectionFailedError(f"Cannot reach {url}{tried}: {lost.cause}. {lost.hint or _START_ONE}")


def _not_ours(reply: Reply, url: str) -> NotOurServerError:
    if location := reply.headers.get("location"):
        what = f"it leads to {location}"
    else:
        what = reply.body[:200].decode("utf-8", "replace").strip() or "no text"
    return NotOurServerError(
        f"{url} answered {reply.status}, not as a DART Jobs server does: {what}. "
        "Check the address, its port and its path (`dartjobs doctor`)."
    )
