"""Why a request was lost, told from what the operating system and the libraries raise."""

import errno
import socket

from dartjobs.client.effects import Lost

_WRONG_HOST = "Check the host's name in the address."
_NO_TLS = "It speaks no TLS: write http:// in the address, if you trust the network."
_NOT_TRUSTED = (
    "Name its authority's certificate: `dartjobs context set NAME --ca-file FILE`, DARTJOBS_CA_FILE or SSL_CERT_FILE."
)
_PORT = "Check the port, and whether the address should begin with https://."
_SLOW = "Is the address right, and does a firewall let you through?"


def loss_of(error: BaseException, *, delivered: bool) -> Lost:
    """What a flow is told. `delivered`: bytes of the request may have reached the server."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, socket.gaierror):
            return Lost("there is no such host", delivered=False, hint=_WRONG_HOST)
        # Told by its name, so that ssl is loaded only where it is used.
        if type(one).__name__ == "SSLCertVerificationError":
            why = getattr(one, "verify_message", "") or str(one)
            return Lost(f"its certificate is not trusted ({why})", delivered=False, hint=_NOT_TRUSTED, final=True)
        if getattr(one, "reason", None) in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return Lost("what listens there is not TLS", delivered=False, hint=_NO_TLS, final=True)
        if isinstance(one, ConnectionRefusedError) or getattr(one, "errno", None) == errno.ECONNREFUSED:
            return Lost("nothing listens there (connection refused)", delivered=False)
    if any(type(one).__name__ in {"BadStatusLine", "RemoteProtocolError", "LineTooLong"} for one in chain):
        return Lost(
            f"what answers there does not speak HTTP/1.1 as expected ({error})", delivered=delivered, hint=_PORT
        )
    if any(isinstance(one, TimeoutError) for one in chain):
        return Lost("no answer in time", delivered=delivered, silent=delivered, hint="" if delivered else _SLOW)
    return Lost(str(error) or type(error).__name__, delivered=delivered)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
