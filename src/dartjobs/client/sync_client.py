"""The synchronous client."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from dartjobs.client.calls import Calls
from dartjobs.client.config import resolve
from dartjobs.client.handles import JobHandle
from dartjobs.client.logs import Place
from dartjobs.client.packaging import pack
from dartjobs.client.patience import Patience
from dartjobs.client.specs import Draft, draft
from dartjobs.client.sync_shell import Shell
from dartjobs.client.watch import Until
from dartjobs.models.job import Job, Transition
from dartjobs.models.spec import JobSpec


class Client:
    """Speaks to one DART Jobs server, for one namespace and user. A context manager; threads may share it.

    Every method raises the server's own errors (`DartJobsError` and its subclasses, with the request's id) and
    `ConnectionFailedError` where there is no answer.
    """

    def __init__(
        self,
        url: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        *,
        timeout: float = 30.0,
        reconnect_for: float = 60.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: else `DARTJOBS_URL`, else the server that `dartjobs up` last started here, else http://127.0.0.1:7878.
            namespace: else `DARTJOBS_NAMESPACE`, else `default`.
            user: who asks; else the name of the login.
            timeout: seconds without an answer after which a request is lost.
            reconnect_for: seconds without success after which `wait`, `watch` and `follow` give a lost server up.
        """
        self.target = resolve(url, namespace, user)
        self._calls = Calls(self.target, Patience(self.target.url, reconnect_for))
        self._shell = Shell(self.target, timeout)

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
        self._shell.close()

    def submit(
        self,
        spec: JobSpec | Mapping[str, Any] | None = None,
        *,
        entrypoint: str | Sequence[str] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        **fields: Any,
    ) -> JobHandle:
        """Submit a job, once; a folder of code is packed, and uploaded where the server does not have it yet.

        Args:
            spec: a `JobSpec` or its fields; `entrypoint`, `working_dir` and `fields` go over it.
            entrypoint: a line for a shell, or a program and its arguments.
            working_dir: a folder, or the `sha256:…` of a package that was uploaded before.
            fields: further fields of `JobSpec`, such as `name="train"` or `head={"cpu": 2}`.

        Raises:
            InvalidRequestError: the spec is not valid; `errors` names the fields.
            PackagingError: the folder cannot be packed.
        """
        made = draft(spec, entrypoint=entrypoint, working_dir=working_dir, fields=fields)
        job = self._submit(made)
        return JobHandle(self, job.id, job)

    def job(self, job_id: str) -> JobHandle:
        """A handle on a job, without asking whether there is one."""
        return JobHandle(self, job_id)

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return self._shell.run(self._calls.get(job_id))

    def stop(self, job_id: str, reason: str = "") -> Job:
        """Ask for a stop and return at once; a finished job is answered unchanged. Its end: `wait`."""
        return self._shell.run(self._calls.stop(job_id, reason))

    def events(self, job_id: str) -> Sequence[Transition]:
        """Every transition of every attempt, oldest first."""
        return self._shell.run(self._calls.events(job_id))

    def watch(self, job_id: str, until: Until = "finished", timeout: float | None = None) -> Iterator[Transition | Job]:
        """Each transition once, from the first on, and each new state of the job, until it is over.

        Raises:
            WaitTimeoutError: it is not over after `timeout` seconds.
        """
        return self._shell.iterate(self._calls.watch(job_id, until, timeout))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Wait until the job is finished, retries included, whatever its outcome.

        Raises:
            WaitTimeoutError: it is not finished after `timeout` seconds; it goes on.
        """
        return self._shell.run(self._calls.watch(job_id, "finished", timeout))

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
        return self._shell.iterate(self._calls.logs(job_id, Place(attempt, start, stop, tail)))

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
        return self._shell.iterate(self._calls.follow(job_id, Place(attempt, tail=tail), on_attempt))

    def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        return self._shell.run(self._calls.health())

    def list(
        self, *, state: str | Iterable[str] = (), name: str | None = None, limit: int | None = None
    ) -> Iterator[Job]:
        """Jobs, newest first; pages are fetched as they are needed.

        Args:
            state: only those in this job state, or in one of these.
            name: only those of this name.
            limit: at most so many.
        """
        return self._shell.iterate(self._calls.list(state, name, limit))

    def _submit(self, made: Draft) -> Job:
        if made.folder is None:
            return self._shell.run(self._calls.submit(made, None))
        with pack(made.folder) as package:
            return self._shell.run(self._calls.submit(made, package))
