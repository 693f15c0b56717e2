"""One look at one attempt: observe, decide, act or record."""

import asyncio
import logging
from datetime import timedelta

from dartjobs.core.decide import by_news, decide, is_silent, must_ask_ray
from dartjobs.core.policy import Policy
from dartjobs.core.world import Act, Decision, Move, Observation, View, Wait
from dartjobs.models.job import Attempt
from dartjobs.models.state import JobState, ResourceState
from dartjobs.store.attempts import Recorded
from dartjobs.store.loading import Loaded, MalformedRowError
from dartjobs.sync.acts import Actor
from dartjobs.sync.ledger import Ledger

_log = logging.getLogger(__name__)
AT_ONCE = timedelta(0)
_NEEDS_ITS_SPEC = {Act.CREATE, Act.SUBMIT, Act.RESUBMIT}


class Reconciler:
    """Brings attempts and cluster together, one attempt at a time."""

    def __init__(self, actor: Actor, policy: Policy, ledger: Ledger, concurrency: int) -> None:
        """At most `concurrency` attempts are observed or acted upon together."""
        self._actor = actor
        self._policy = policy
        self._ledger = ledger
        self._slots = asyncio.Semaphore(concurrency)

    async def look(self, attempt_id: str) -> timedelta | None:
        """Look once; answers after how long to look again, None when there is nothing more to do.

        An end that the cluster shows is decided with evidence that is read after the observation: an exit that was
        reported before its head died is an outcome, not a lost head.

        Raises:
            TemporaryDriverError: the cluster did not do it; try again.
            StaleError: what was read is no longer so; look again.
            UnavailableError: the database or the object store is away.
            MalformedRowError: it needs what cannot be read.
        """
        loaded = await self._load(attempt_id)
        if loaded is None:
            return None
        news = by_news(loaded.view(Observation()), self._policy)
        if news is not None:
            return await self._record(loaded.view(Observation()), news)
        async with self._slots:
            observation = await self._observe(loaded)
        view = loaded.view(observation)
        decision = decide(view, self._policy)
        if isinstance(decision, Move) and _ends(view, decision):
            return await self._end(view)
        return await self._do(loaded, view, decision)

    async def _observe(self, loaded: Loaded) -> Observation:
        silent = is_silent(loaded.evidence, _gateway_silence(loaded), self._policy)
        asks = must_ask_ray(loaded.attempt, loaded.evidence, silent=silent)
        return await self._actor.driver.observe(loaded.attempt, ask_ray=asks)

    async def _end(self, before: View) -> timedelta | None:
        loaded = await self._load(before.attempt.id)
        if loaded is None or loaded.attempt.version != before.attempt.version:
            return AT_ONCE
        view = loaded.view(before.observation)
        return await self._do(loaded, view, decide(view, self._policy))

    async def _do(self, loaded: Loaded, view: View, decision: Decision) -> timedelta:
        match decision:
            case Wait(until):
                return until - view.now
            case Move():
                return await self._record(view, decision)
            case Act():
                if loaded.malformed is not None and decision in _NEEDS_ITS_SPEC:
                    msg = f"its specification cannot be read: {loaded.malformed}"
                    raise MalformedRowError(msg)
                async with self._slots:
                    impossible = await self._actor.perform(decision, view, loaded.namespace)
                if impossible is not None:
                    return await self._record(await self._fresh(view), impossible)
                return self._policy.poll

    async def _load(self, attempt_id: str) -> Loaded | None:
        loaded = await self._ledger.load(attempt_id)
        if loaded is None or not _is_ours(loaded.attempt, self._actor.lease.name):
            self._ledger.release(attempt_id)
            return None
        return loaded

    async def _fresh(self, view: View) -> View:
        loaded = await self._load(view.attempt.id)
        return view if loaded is None else loaded.view(view.observation)

    async def _record(self, view: View, move: Move) -> timedelta:
        await self._ledger.record(Recorded(view, move))
        _log.info("%s: %s -> %s (%s)", view.attempt.id, view.attempt.pair, move.target, move.reason)
        return AT_ONCE


def _ends(view: View, move: Move) -> bool:
    return move.target.job_state.is_final and not view.attempt.job_state.is_final


def _is_ours(attempt: Attempt, cluster: str) -> bool:
    return attempt.cluster == cluster and attempt.resource_state is not ResourceState.TERMINATED


def _gateway_silence(loaded: Loaded) -> timedelta | None:
    """Since the gateway was heard, but no longer than the attempt is in its state; None: there never was one."""
    if loaded.attempt.job_state is not JobState.RUNNING or loaded.gateway_seen_at is None:
        return None
    return loaded.now - max(loaded.gateway_seen_at, loaded.attempt.entered_at)
