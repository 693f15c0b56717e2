"""What a client can do, each as a flow: the whole protocol, and no I/O."""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from dartjobs.client.config import Target
from dartjobs.client.effects import Call, Emit, Lost, Reply, Send, Stream
from dartjobs.client.logs import Place, follow_log, read_log
from dartjobs.client.packaging import Package
from dartjobs.client.patience import Outage, Patience, checked, is_setback, send, send_once
from dartjobs.client.requests import Requests, health
from dartjobs.client.specs import Draft
from dartjobs.client.watch import Until, Watch
from dartjobs.models.job import Job, JobPage, Transition, TransitionList

_PAGE = 200
_log = logging.getLogger(__name__)
_HEALTH = TypeAdapter(dict[str, Any])


class Calls:
    """The flows of one namespace on one server."""

    def __init__(self, target: Target, patience: Patience) -> None:
        self._requests = Requests(target.namespace)
        self._patience = patience

    def submit(self, made: Draft, package: Package | None) -> Call[Job]:
        """Upload the package of its folder where the server does not have it, then submit, once."""
        spec = made.spec
        if package is not None:
            for warning in package.warnings:
                _log.warning("%s", warning)
            yield from self._upload(package)
            spec = made.with_package(package.ref)
        reply = yield from send_once(self._requests.submit(spec), self._patience)
        return Job.model_validate_json(reply.body)

    def get(self, job_id: str) -> Call[Job]:
        """One job."""
        reply = yield from send(self._requests.get(job_id), self._patience)
        return Job.model_validate_json(reply.body)

    def list(self, state: str | Iterable[str], name: str | None, limit: int | None) -> Stream[Job, None]:
        """Each job of every page, newest first, up to `limit`."""
        wanted, left, cursor = (state,) if isinstance(state, str) else tuple(state), limit, None
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            reply = yield from send(self._requests.page(wanted, name, size, cursor), self._patience)
            page = JobPage.model_validate_json(reply.body)
            for job in page.items[:left]:
                yield Emit(job)
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def stop(self, job_id: str, reason: str) -> Call[Job]:
        """Ask for a stop; to ask twice does no harm."""
        reply = yield from send(self._requests.stop(job_id, reason), self._patience)
        return Job.model_validate_json(reply.body)

    def events(self, job_id: str) -> Call[tuple[Transition, ...]]:
        """Every transition, oldest first."""
        reply = yield from send(self._requests.events(job_id), self._patience)
        return tuple(TransitionList.model_validate_json(reply.body).items)

    def watch(self, job_id: str, until: Until, timeout: float | None) -> Stream[Transition | Job, Job]:
        """Transitions and states as they come."""
        return Watch(self._requests, self._patience, job_id, until=until, timeout=timeout).run()

    def logs(self, job_id: str, place: Place) -> Stream[bytes, None]:
        """What is stored of one log."""
        return read_log(self._requests, self._patience, job_id, place)

    def follow(self, job_id: str, place: Place, on_attempt: Callable[[int], object] | None) -> Stream[bytes, None]:
        """The log as it grows, over all attempts from `place` on."""
        return follow_log(self._requests, self._patience, job_id, place, on_attempt)

    def health(self) -> Call[dict[str, Any]]:
        """What the server says of itself."""
        reply = yield from send(health(), self._patience)
        return _HEALTH.validate_json(reply.body)

    def _upload(self, package: Package) -> Call[None]:
        outage = Outage(self._patience)
        while True:
            answer: Lost | Reply = yield Send(self._requests.has_package(package.ref))
            if not is_setback(answer):
                break
            yield from outage.pause(answer)
        if isinstance(answer, Reply) and answer.status == HTTPStatus.NOT_FOUND:
            yield from send(self._requests.put_package(package.ref, package.path), self._patience)
        else:
            checked(answer, self._patience)
