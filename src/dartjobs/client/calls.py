"""What a client can do, each as a flow: the whole protocol, and no I/O. Answers are the wire's own JSON."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dartjobs.client import requests, uploads
from dartjobs.client.config import Target
from dartjobs.client.effects import Call, Emit, Json, Request, Sleep, Stream
from dartjobs.client.errors import WaitTimeoutError, body_of
from dartjobs.client.filters import Filters, params_of
from dartjobs.client.patience import Outage, Patience, send
from dartjobs.client.requests import Requests
from dartjobs.models.problem import DartJobsError, NotFoundError

if TYPE_CHECKING:
    from dartjobs.client.logs import Place
    from dartjobs.client.packaging import Package
    from dartjobs.client.watch import Until

Items = list[Json]
_PAGE = 200
_LOOK = 1.0
"""Seconds between two looks at a cluster that is being emptied."""
MOST_AT_ONCE = 1_000
"""As `models.bulk.MOST_AT_ONCE`, which needs pydantic."""
_MOST_BYTES = 3 * 2**20
"""Of specifications in one request, below a server's usual limit of 4 MiB."""
_NO_PACKAGE = f"sha256:{'0' * 64}"


class Calls:
    """The flows of one namespace on one server."""

    def __init__(self, target: Target, patience: Patience) -> None:
        self._requests = Requests(target.namespace)
        self._patience = patience

    def submit(self, spec: Json, key: str) -> Call[Json]:
        """One job, once for this key; its package is on the server."""
        return self._json(self._requests.submit(spec, key))

    def upload(
        self,
        package: "Package",
        check: Callable[[], object] = bool,
        on_upload: Callable[[int, int], object] | None = None,
    ) -> Call[None]:
        """Bring a package to the server, unless it has it."""
        for warning in package.warnings:
            self._patience.warn(warning)
        if (yield from self.has_package(package.ref)):
            return
        check()
        yield from uploads.upload(self._requests, self._patience, package, on_upload)

    def has_package(self, ref: str) -> Call[bool]:
        """Whether the server has a package."""
        return uploads.is_stored(self._requests, ref, Outage(self._patience), self._patience)

    def store_answers(self) -> Call[None]:
        """See that the store of packages does, by an upload that nobody began: the API alone could not tell.

        Raises:
            DartJobsError: it does not.
        """
        yield from uploads.begun(self._requests, _NO_PACKAGE, Outage(self._patience), self._patience)

    def outage(self) -> Outage:
        """For requests that go on over a loss of the server as one."""
        return Outage(self._patience)

    def submit_many(self, specs: Sequence[Json], key: str) -> Call[Items]:
        """What became of each, in their order: a `job` or a `problem`.

        An error that breaks it off has a note with the key, under which nothing is submitted twice.
        """
        found: Items = []
        outage = Outage(self._patience)
        for part in parts_of(specs):
            request = self._requests.submit_many(part, f"{key}-{len(found)}" if found else key)
            try:
                found += (yield from self._json(request, outage))["items"]
            except DartJobsError as error:
                error.add_note(f"{len(found)} of {len(specs)} are submitted. Go on with idempotency_key={key!r}.")
                raise
        return found

    def get(self, job_id: str) -> Call[Json]:
        """One job."""
        return self._json(self._requests.get(job_id))

    def list(self, filters: Filters, limit: int | None, outage: Outage | None = None) -> Stream[Json, None]:
        """Each job of every page, newest first, up to `limit`."""
        params, left, cursor = params_of(filters), limit, None
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page = yield from self._json(self._requests.page(params, size, cursor), outage)
            for job in page["items"][:left]:
                yield Emit(job)
            left = None if left is None else left - len(page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def stop(self, job_id: str, reason: str) -> Call[Json]:
        """Ask for a stop; to ask twice does no harm."""
        return self._json(self._requests.stop(job_id, reason))

    def stop_many(self, filters: Filters, reason: str, *, everything: bool) -> Stream[str, None]:
        """Ask for a stop of all that match; the id of each for which it is recorded."""
        params, cursor = params_of(filters), None
        while True:
            request = self._requests.stop_many(params, reason, cursor, everything=everything)
            page = yield from self._json(request)
            for job_id in page["items"]:
                yield Emit(job_id)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def retry(self, job_id: str, key: str) -> Call[Json]:
        """A new job like this finished one."""
        return self._json(self._requests.retry(job_id, key))

    def requeue(self, job_id: str, reason: str) -> Call[Json]:
        """End the attempt that runs, and queue the job again without spending a retry."""
        job = yield from self.get(job_id)
        return (yield from self._json(self._requests.requeue(job_id, job["attempt"]["number"], reason)))

    def events(self, job_id: str) -> Call[Items]:
        """Every transition, oldest first."""
        return self._items(self._requests.part(job_id, "events"))

    def attempts(self, job_id: str) -> Call[Items]:
        """Every attempt, oldest first."""
        return self._items(self._requests.part(job_id, "attempts"))

    def explain(self, job_id: str) -> Call[Json]:
        """Why it is where it is, and what comes next."""
        return self._json(self._requests.part(job_id, "explain"))

    def watch(self, job_id: str, until: "Until", timeout: float | None) -> Stream[tuple[str, Json], Json]:
        """Transitions and states as they come, each under its kind: `transition` or `job`."""
        from dartjobs.client.watch import Watch

        return Watch(self._requests, self._patience, job_id, until=until, timeout=timeout).run()

    def logs(self, job_id: str, place: "Place") -> Stream[bytes, None]:
        """What is stored of one log."""
        from dartjobs.client.logs import read_log

        return read_log(self._requests, self._patience, job_id, place)

    def follow(self, job_id: str, place: "Place", on_attempt: Callable[[int], object] | None) -> Stream[bytes, None]:
        """The log as it grows, over all attempts from `place` on."""
        from dartjobs.client.logs import follow_log

        return follow_log(self._requests, self._patience, job_id, place, on_attempt)

    def health(self) -> Call[Json]:
        """What the server says of itself."""
        return self._json(requests.health())

    def version(self) -> Call[Json]:
        """The server's version, and that of its API."""
        return self._json(requests.version())

    def head_of_health(self) -> Call[Mapping[str, str]]:
        """The headers of an answer, such as its date."""
        reply = yield from send(requests.health(), self._patience)
        body_of(reply, self._patience.url)
        return reply.headers

    def clusters(self) -> Call[Items]:
        """Every cluster, by name."""
        return self._items(requests.clusters())

    def cluster(self, name: str) -> Call[Json]:
        """One cluster."""
        return self._json(requests.cluster(name))

    def change_cluster(self, name: str, verb: str, reason: str | None = None) -> Call[Json]:
        """`cordon`, `uncordon`, `lost` (with a reason) or `readmit`."""
        body = None if reason is None else {"reason": reason}
        return self._json(requests.change_cluster(name, verb, body))

    def add_cluster(self, name: str, settings: Json, *, replace: bool) -> Call[Json]:
        """Register a cluster; the same again does no harm."""
        return self._json(requests.add_cluster(name, settings, replace=replace))

    def drain_cluster(self, name: str, *, requeue: bool, reason: str) -> Call[Json]:
        """Cordon it, and with `requeue` send back all that runs there: the `cluster`, and the jobs `requeued`."""
        requeued: list[str] = []
        while True:
            body = {"requeue": requeue, "reason": reason}
            page = yield from self._json(requests.change_cluster(name, "drain", body))
            requeued += page["requeued"]
            if not page["more"]:
                return {"cluster": page["cluster"], "requeued": requeued}

    def await_empty_cluster(self, name: str, timeout: float | None) -> Call[Json]:
        """The cluster, once nothing lives on it.

        Raises:
            WaitTimeoutError: that took longer than `timeout` seconds.
        """
        end = None if timeout is None else self._patience.clock() + timeout
        while True:
            cluster = yield from self.cluster(name)
            if cluster["attempts"] == 0:
                return cluster
            if end is not None and self._patience.clock() >= end:
                msg = f"{cluster['attempts']} attempts still live on cluster {name}; it takes no new ones."
                raise WaitTimeoutError(msg)
            yield Sleep(_LOOK)

    def remove_cluster(self, name: str) -> Call[None]:
        """Forget it. One that is gone when an answer was lost was removed by us."""
        yield from self.cluster(name)
        try:
            yield from send(requests.remove_cluster(name), self._patience)
        except NotFoundError:
            return

    def _json(self, request: Request, outage: Outage | None = None) -> Call[Json]:
        reply = yield from send(request, self._patience, outage)
        return body_of(reply, self._patience.url)

    def _items(self, request: Request) -> Call[Items]:
        found: Items = (yield from self._json(request))["items"]
        return found


def parts_of(specs: Sequence[Json]) -> Iterator[list[Json]]:
    """In parts that a server takes at once, by their number and their bytes."""
    part: list[Json] = []
    size = 0
    for spec in specs:
        length = len(json.dumps(spec))
        if part and (len(part) == MOST_AT_ONCE or size + length > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(spec)
        size += length
    if part:
        yield part
