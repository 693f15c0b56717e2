"""The synchronous client."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from dartjobs.client import typed
from dartjobs.client.clusters import Clusters
from dartjobs.client.config import resolve
from dartjobs.client.drafts import Draft, new_key
from dartjobs.client.filters import Filters
from dartjobs.client.handles import JobHandle, Listing
from dartjobs.client.logs import Place
from dartjobs.client.session import Session
from dartjobs.client.specs import draft
from dartjobs.client.watch import Until
from dartjobs.models.explain import Explanation
from dartjobs.models.job import Attempt, Job, Transition
from dartjobs.models.problem import DartJobsError, error_of
from dartjobs.models.spec import JobSpec

_log = logging.getLogger("dartjobs.client")


class Client:
    """Speaks to one DART Jobs server, for one namespace and user. A context manager; threads may share it.

    Every method raises the server's own errors (`DartJobsError` and its subclasses, with the request's id) and
    `ConnectionFailedError` where there is no answer. What is lost on the way is sent again, with growing pauses; a
    submission has an idempotency key, so that it happens once.
    """

    def __init__(
        self,
        url: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        *,
        context: str | None = None,
        timeout: float = 30.0,
        reconnect_for: float = 60.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: else the `context`'s, else `DARTJOBS_URL`, else the current context's, else the server that
                `dartjobs up` last started here, else http://127.0.0.1:7878.
            namespace: else likewise, with `DARTJOBS_NAMESPACE`, else `default`.
            user: who asks; else likewise, with `DARTJOBS_USER`, else the name of the login.
            context: the name of one in the configuration file; else `DARTJOBS_CONTEXT`, else the file's `current`.
            timeout: seconds without an answer after which a request is lost.
            reconnect_for: seconds without success after which `wait`, `watch` and `follow` give a lost server up.
        """
        self.target = resolve(url, namespace, user, context=context)
        self._session = Session(self.target, warn=_warn, timeout=timeout, reconnect_for=reconnect_for)
        self._calls, self._run, self._iterate = self._session.calls, self._session.run, self._session.iterate
        self.clusters = Clusters(self._session)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the connections. Jobs go on."""
        self._session.close()

    def submit(
        self,
        spec: JobSpec | Mapping[str, Any] | None = None,
        *,
        entrypoint: str | Sequence[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> JobHandle:
        """Submit a job, once; a folder of code is packed, and uploaded where the server does not have it yet.

        Args:
            spec: a `JobSpec` or its fields; `entrypoint`, `working_dir` and `fields` go over it.
            entrypoint: a line for a shell, or a program and its arguments.
            working_dir: a folder, or the `sha256:…` of a package that was uploaded before.
            idempotency_key: the same key with the same job gives the job of the first time, in every process; else
                one is made for this call.
            fields: further fields of `JobSpec`, such as `name="train"` or `head={"cpu": 2}`.

        Raises:
            InvalidRequestError: the spec is not valid; `errors` names the fields.
            PackagingError: the folder cannot be packed.
        """
        made = draft(spec, entrypoint=entrypoint, working_dir=working_dir, fields=fields)
        return self._handle(self._session.submit(made, idempotency_key or new_key()))

    def submit_many(
        self,
        specs: Iterable[JobSpec | Mapping[str, Any]],
        *,
        working_dir: str | os.PathLike[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sequence[JobHandle | DartJobsError]:
        """Submit many, each on its own, in as few requests as can be.

        Args:
            specs: each a `JobSpec` or its fields.
            working_dir: of all of them; else each one's own. A folder that several share is uploaded once.
            idempotency_key: see `submit`; for the whole.

        Returns:
            In their order, a handle, or the error that refused it.

        Raises:
            InvalidRequestError: one is not valid, and none was submitted.
        """
        drafts: list[Draft] = [draft(spec, working_dir=working_dir) for spec in specs]
        return [self._became(one) for one in self._session.submit_many(drafts, idempotency_key or new_key())]

    def job(self, job_id: str) -> JobHandle:
        """A handle on a job, without asking whether there is one."""
        return JobHandle(self, job_id)

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return typed.as_job(self._run(self._calls.get(job_id)))

    def stop(self, job_id: str, reason: str = "") -> Job:
        """Ask for a stop and return at once; a finished job is answered unchanged. Its end: `wait`."""
        return typed.as_job(self._run(self._calls.stop(job_id, reason)))

    def stop_many(self, reason: str = "", *, everything: bool = False, **filters: Unpack[Filters]) -> Sequence[str]:
        """Ask all jobs to stop that match the filters of `list`; the server chooses them.

        Args:
            reason: kept in their history.
            everything: all of the namespace; without it and without a filter the server refuses.
            filters: see `list`.

        Returns:
            The ids of those for which the stop is recorded.
        """
        return list(self._iterate(self._calls.stop_many(filters, reason, everything=everything)))

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobHandle:
        """Submit a finished job's spec again, as a new job whose `retry_of` is this one.

        Raises:
            NotFinishedError: it is not finished.
        """
        return self._handle(self._run(self._calls.retry(job_id, idempotency_key or new_key())))

    def requeue(self, job_id: str, reason: str = "") -> Job:
        """For operators: end the attempt that runs, and queue the job again without spending a retry.

        Raises:
            NotRunningError: no attempt of it is on a cluster.
        """
        return typed.as_job(self._run(self._calls.requeue(job_id, reason)))

    def events(self, job_id: str) -> Sequence[Transition]:
        """Every transition of every attempt, oldest first."""
        return typed.as_transitions(self._run(self._calls.events(job_id)))

    def attempts(self, job_id: str) -> Sequence[Attempt]:
        """Every attempt, oldest first."""
        return typed.as_attempts(self._run(self._calls.attempts(job_id)))

    def explain(self, job_id: str) -> Explanation:
        """Why the job is not running, or why it ended; and what comes next."""
        return typed.as_explanation(self._run(self._calls.explain(job_id)))

    def watch(self, job_id: str, until: Until = "finished", timeout: float | None = None) -> Iterator[Transition | Job]:
        """Each transition once, from the first on, and each new state of the job, until it is over.

        Raises:
            WaitTimeoutError: it is not over after `timeout` seconds.
        """
        flow = self._calls.watch(job_id, until, timeout)
        return self._iterate(typed.stream(flow, typed.as_event, typed.as_job))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Wait until the job is finished, retries included, whatever its outcome.

        Raises:
            WaitTimeoutError: it is not finished after `timeout` seconds; it goes on.
        """
        return typed.as_job(self._run(self._calls.watch(job_id, "finished", timeout)))

    def logs(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[bytes]:
        """What is stored now of an attempt's log (the latest attempt's), in pieces.

        Args:
            job_id: the job's.
            attempt: its number.
            tail: only so many lines of its end.
            start: the offset of the first byte; not with `tail`.
            stop: the offset after the last byte.

        Raises:
            RangeError: the log does not reach as far as `start`.
        """
        return self._iterate(self._calls.logs(job_id, Place(attempt, start, stop, tail)))

    def follow(
        self,
        job_id: str,
        *,
        attempt: int | None = None,
        tail: int | None = None,
        on_attempt: Callable[[int], object] | None = None,
    ) -> Iterator[bytes]:
        """Each byte of the log once, as it grows, over lost connections and retries, until the job is finished.

        Args:
            job_id: the job's.
            attempt: the attempt to begin with; else the latest.
            tail: of that attempt, only so many lines of what is there already.
            on_attempt: called with its number when a retry's log begins.
        """
        return self._iterate(self._calls.follow(job_id, Place(attempt, tail=tail), on_attempt))

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return self._run(self._calls.health())

    def version(self) -> dict[str, Any]:
        """The server's `version`, and that of its `api`."""
        return self._run(self._calls.version())

    def list(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> Listing:
        """Jobs, newest first; pages are fetched as they are needed.

        Args:
            limit: at most so many.
            filters: `state`, `user`, `name`, `cluster`, `selector`, `submitted_after`, `submitted_before`, `active`:
                see `Filters`.
        """

        def begin() -> Iterator[Job]:
            flow = self._calls.list(filters, limit)
            return self._iterate(typed.stream(flow, typed.as_job, typed.unchanged))

        return Listing(begin)

    def _handle(self, job: dict[str, Any]) -> JobHandle:
        return JobHandle(self, job["id"], typed.as_job(job))

    def _became(self, item: dict[str, Any]) -> JobHandle | DartJobsError:
        return self._handle(item["job"]) if item.get("job") else error_of(item["problem"])


def _warn(text: str) -> None:
    _log.warning("%s", text)
