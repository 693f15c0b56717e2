"""Bringing a package to the server: a small one at once, a large one in parts, so that a break costs one of them."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from dartjobs.client.effects import Call, Lost, Reply, Request, Send
from dartjobs.client.patience import Outage, Patience, checked, is_setback, send
from dartjobs.client.requests import Requests

if TYPE_CHECKING:
    from dartjobs.client.packaging import Package

AT_ONCE = 8 * 2**20
"""Bytes of the largest package that goes in one request."""
PART = 4 * 2**20
"""Bytes of a part."""
Told = Callable[[int, int], object]


def is_stored(requests: Requests, ref: str, outage: Outage, patience: Patience) -> Call[bool]:
    """Whether the server has the package."""
    return (yield from _asked(requests.has_package(ref), outage, patience)) is not None


def upload(requests: Requests, patience: Patience, package: "Package", told: Told | None = None) -> Call[None]:
    """Bring it there, from where an earlier upload of it was broken off; `told` hears how many bytes of how many went.

    Raises:
        DartJobsError: the server's own, with the request's id.
        ConnectionFailedError: no answer.
    """
    if package.size <= AT_ONCE:
        whole = requests.put_package(package.ref, package.path, on_sent=_from(0, package, told))
        yield from send(whole, patience)
        return
    outage = Outage(patience)
    at = furthest = yield from _standing(requests, package, outage, patience)
    began_anew = False
    outage.over()
    while at is not None and furthest is not None:
        end = max(at, min(at + PART, package.size))
        complete = end >= package.size
        answer: Lost | Reply = yield Send(_part(requests, package, (at, end), told, complete=complete))
        if is_setback(answer):
            yield from outage.pause(answer)
            at = yield from _standing(requests, package, outage, patience)
        elif _is(answer, HTTPStatus.BAD_REQUEST) and complete and not began_anew:
            at, began_anew = 0, True  # the server has discarded it: what an earlier upload left may have been damaged
        elif _is(answer, HTTPStatus.CONFLICT) and _offset(answer) != at:
            at = _offset(answer)  # another upload of the same package was quicker
        else:
            checked(answer, patience)
            at = None if complete else end
        if at is not None and at > furthest:
            furthest = at
            outage.over()  # only what brings it further counts as a success


def _standing(requests: Requests, package: "Package", outage: Outage, patience: Patience) -> Call[int | None]:
    """Where to go on; None: it is there, such as where only the last answer was lost."""
    if (yield from is_stored(requests, package.ref, outage, patience)):
        return None
    return (yield from begun(requests, package.ref, outage, patience))


def begun(requests: Requests, ref: str, outage: Outage, patience: Patience) -> Call[int]:
    """Bytes of the package that an upload in parts has brought to the store; 0 where none was begun."""
    answer = yield from _asked(requests.upload_offset(ref), outage, patience)
    return 0 if answer is None else _offset(answer)


def _asked(request: Request, outage: Outage, patience: Patience) -> Call[Reply | None]:
    """The answer; None for "there is none"."""
    while is_setback(answer := (yield Send(request))):
        yield from outage.pause(answer)
    return None if _is(answer, HTTPStatus.NOT_FOUND) else checked(answer, patience)


def _part(
    requests: Requests, package: "Package", span: tuple[int, int], told: Told | None, *, complete: bool
) -> Request:
    on_sent = _from(span[0], package, told)
    return requests.put_part(package.ref, package.path, span, complete=complete, on_sent=on_sent)


def _is(answer: Lost | Reply, status: HTTPStatus) -> bool:
    return isinstance(answer, Reply) and answer.status == status


def _offset(answer: Lost | Reply) -> int:
    text = answer.headers.get("upload-offset", "") if isinstance(answer, Reply) else ""
    return int(text) if text.isdecimal() else 0


def _from(start: int, package: "Package", told: Told | None) -> Callable[[int], object] | None:
    return None if told is None else lambda sent: told(start + sent, package.size)
