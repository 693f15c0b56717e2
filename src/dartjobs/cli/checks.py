"""What `dartjobs doctor` looks at, one after the other: what is wrong first makes the rest needless."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING

from dartjobs.cli.options import session, target
from dartjobs.client.contexts import config_path, read_contexts
from dartjobs.models.problem import DartJobsError, NotFoundError

if TYPE_CHECKING:
    from dartjobs.client.config import Target
    from dartjobs.client.session import Session

_OLDEST = (3, 11)
_SKEW = 5.0
"""Seconds that two clocks may differ, an answer's own way included."""


class Verdict(StrEnum):
    """What a check comes to."""

    GOOD = "ok"
    ODD = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One check."""

    what: str
    verdict: Verdict
    detail: str
    advice: str = ""


def examine() -> Iterator[Check]:
    """Each check, as it is made."""
    yield _python()
    try:
        yield _config()
        to = target()
    except DartJobsError as error:
        yield Check("config", Verdict.BAD, error.detail, f"Mend {config_path()}, or the options and DARTJOBS_… here.")
        return
    yield _target(to)
    with session(hasty=True, timeout=5.0) as server:
        try:
            begun = datetime.now(UTC)
            headers = server.run(server.calls.head_of_health())
            took = datetime.now(UTC) - begun
        except DartJobsError as error:
            yield Check("server", Verdict.BAD, error.detail)
            return
        yield Check("server", Verdict.GOOD, f"{to.url} answers in {took.total_seconds() * 1_000:.0f} ms")
        yield _clock(headers.get("date"), begun, datetime.now(UTC))
        for what, check in _OF_SERVER.items():
            yield _of_server(server, what, check)


def _python() -> Check:
    detail = f"Python {platform.python_version()}, dartjobs {version('dartjobs')}, {sys.executable}"
    return Check("python", Verdict.GOOD if sys.version_info >= _OLDEST else Verdict.BAD, detail)


def _config() -> Check:
    found = read_contexts(config_path())
    if not found.named:
        return Check("config", Verdict.GOOD, f"no contexts in {found.path}")
    return Check("config", Verdict.GOOD, f"{len(found.named)} contexts in {found.path}")


def _target(to: "Target") -> Check:
    detail = f"{to.url}, namespace {to.namespace}, user {to.user or 'unknown'}, context {to.context or 'none'}"
    if to.user is None:
        return Check("context", Verdict.ODD, detail, "Say who you are by DARTJOBS_USER: else jobs are nobody's.")
    return Check("context", Verdict.GOOD, detail)


def _clock(date: str | None, begun: datetime, ended: datetime) -> Check:
    if date is None:
        return Check("clock", Verdict.ODD, "the server does not tell its time")
    at = parsedate_to_datetime(date)
    off = max((begun - at).total_seconds() - 1.0, (at - ended).total_seconds(), 0.0)
    if off <= _SKEW:
        return Check("clock", Verdict.GOOD, "agrees with the server's")
    advice = "Set this machine's clock, or the server's, by NTP: ages and --since are wrong by as much."
    return Check("clock", Verdict.ODD, f"differs from the server's by {off:.0f} s", advice)


def _of_server(server: "Session", what: str, check: "Callable[[Session], Check]") -> Check:
    try:
        return check(server)
    except DartJobsError as error:
        return Check(what, Verdict.BAD, error.detail, "Show this to your operator." if error.request_id else "")


def _version(server: "Session") -> Check:
    try:
        found = server.run(server.calls.version())
    except NotFoundError:
        return Check("version", Verdict.ODD, "the server does not tell its version", "It is older than this client.")
    mine, theirs = version("dartjobs"), str(found.get("version"))
    if mine.split(".")[:2] == theirs.split(".")[:2]:
        return Check("version", Verdict.GOOD, f"the server has {theirs}")
    advice = f"pip install 'dartjobs=={theirs}' gives the client that was made with it."
    return Check("version", Verdict.ODD, f"the server has {theirs}, this is {mine}", advice)


def _namespace(server: "Session") -> Check:
    jobs = list(server.iterate(server.calls.list({}, 1)))
    detail = f"{server.target.namespace} can be read" + ("" if jobs else "; it has no jobs yet")
    return Check("namespace", Verdict.GOOD, detail)


def _packages(server: "Session") -> Check:
    server.run(server.calls.store_answers())
    return Check("packages", Verdict.GOOD, "the store of packages answers")


def _clusters(server: "Session") -> Check:
    found = server.run(server.calls.clusters())
    ready = [one["name"] for one in found if one["state"] == "READY"]
    if ready:
        return Check("clusters", Verdict.GOOD, f"{len(ready)} of {len(found)} take jobs")
    advice = "Jobs wait until one does: `dartjobs cluster list` says why; the Sync Service registers clusters."
    return Check("clusters", Verdict.ODD, f"none of {len(found)} takes jobs", advice)


_OF_SERVER: "dict[str, Callable[[Session], Check]]" = {
    "version": _version,
    "namespace": _namespace,
    "packages": _packages,
    "clusters": _clusters,
}
