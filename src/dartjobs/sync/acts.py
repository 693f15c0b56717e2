"""Effects on the cluster, each after its committed row."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core import outcome
from dartjobs.core.world import Act, Move, View
from dartjobs.drivers.base import Driver, FinalDriverError, HeadChangedError, Launch, PackageRefusedError, Submission
from dartjobs.models.job import Attempt, SubmitIntent
from dartjobs.models.reason import Reason
from dartjobs.services import packages
from dartjobs.services.logs import STREAM
from dartjobs.services.platform import Platform
from dartjobs.services.tokens import attempt_token
from dartjobs.store import evidence
from dartjobs.store.attempts import Change, Intended, Marked
from dartjobs.store.leases import Lease

_UNSEALED = "\n[dartjobs: the log ends here: the runner did not report its end, and what came later is lost]\n"


@dataclass(frozen=True, slots=True)
class Actor:
    """What a Sync Service acts with."""

    platform: Platform
    driver: Driver
    lease: Lease
    gateway_url: str
    secret: bytes
    installation: str
    record: Callable[[Change], Awaitable[None]]
    """Commits a change under the lease; raises what is the change's own."""

    async def perform(self, act: Act, view: View, namespace: str) -> Move | None:
        """Do it. Answers a move where it turned out to be impossible for good.

        Raises:
            TemporaryDriverError: it may work when tried again.
            StaleError: what was read is no longer so.
        """
        attempt = view.attempt
        match act:
            case Act.CREATE:
                return await self._create(view)
            case Act.SUBMIT:
                return await self._submit(view, namespace)
            case Act.RESUBMIT:
                return await self._submit_under(view, namespace, attempt)
            case Act.RECORD_SEEN:
                await self._mark(attempt, "driver_seen_at")
            case Act.STOP_DRIVER:
                await self.driver.stop_driver(attempt)
                await self._mark(attempt, "stop_sent_at")
            case Act.KILL_HEAD:
                await self.driver.kill_head(attempt)
            case Act.SEAL_LOG:
                await self._seal_log(attempt)
            case Act.DELETE:
                await self.driver.delete(attempt)
        return None

    async def _create(self, view: View) -> Move | None:
        token = attempt_token(self.secret, self.installation, view.attempt.id)
        try:
            await self.driver.create(Launch(view.attempt, view.spec, token, self.gateway_url))
        except FinalDriverError as error:
            return outcome.failed(view, Reason.HEAD_FAILED, str(error))
        return None

    async def _submit(self, view: View, namespace: str) -> Move | None:
        attempt, seen = view.attempt, view.observation
        refused = await self._deliver_package(view, namespace)
        if refused is not None:
            return refused
        again = await self.driver.observe(attempt, ask_ray=False)
        if again.cluster_uid is None or again.head_uid is None or again.head_uid != seen.head_uid:
            msg = "the head changed while the package was put into it"
            raise HeadChangedError(msg)
        intent = SubmitIntent(
            submission_id=attempt.id, cluster_uid=again.cluster_uid, head_uid=again.head_uid, at=view.now
        )
        await self.record(Intended(attempt, intent))
        return await self._submit_under(view, namespace, attempt.model_copy(update={"submit_intent": intent}))

    async def _submit_under(self, view: View, namespace: str, attempt: Attempt) -> Move | None:
        if attempt.submit_intent is None:
            raise AssertionError
        try:
            await self.driver.submit(Submission(attempt, view.spec, namespace, attempt.submit_intent))
        except FinalDriverError as error:
            return outcome.failed(view, Reason.SUBMIT_REFUSED, str(error))
        await self._mark(attempt, "driver_seen_at")
        return None

    async def _deliver_package(self, view: View, namespace: str) -> Move | None:
        ref = view.spec.runtime_env.working_dir
        if ref is None or await self.driver.has_package(view.attempt, ref):
            return None
        package = await packages.read(self.platform, namespace, ref)
        if package is None:
            return outcome.failed(view, Reason.PACKAGE_MISSING, f"{ref} is no longer in the object store.")
        size, chunks = package
        try:
            await self.driver.put_package(view.attempt, ref, chunks, size)
        except PackageRefusedError as error:
            return outcome.failed(view, Reason.RUNTIME_ENV_FAILED, str(error))
        return None

    async def _seal_log(self, attempt: Attempt) -> None:
        logs = self.platform.logs
        end = await logs.end(attempt.id, STREAM)
        if attempt.driver_started_at is not None or end:
            end = await logs.append(attempt.id, STREAM, end, _UNSEALED.encode())
        record = partial(evidence.report, attempt_id=attempt.id, kind="log_end", body={"bytes": end})
        await self.platform.database.write(record)
        await self.platform.bus.publish(topics.log_topic(attempt.id))

    async def _mark(self, attempt: Attempt, column: str) -> None:
        await self.record(Marked(attempt, column))
