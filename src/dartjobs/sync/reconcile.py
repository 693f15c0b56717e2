"""One look at one attempt: observe, decide, act or record."""

import logging
from datetime import datetime, timedelta
from functools import partial

from dartjobs.bus import base as topics
from dartjobs.core.decide import decide, must_ask_ray
from dartjobs.core.policy import Policy
from dartjobs.core.world import Act, Move, Observation, View, Wait
from dartjobs.models.job import Attempt
from dartjobs.models.state import ResourceState
from dartjobs.store import attempts
from dartjobs.store.attempts import Loaded
from dartjobs.sync.acts import Actor

_log = logging.getLogger(__name__)
AT_ONCE = timedelta(0)


class Reconciler:
    """Brings attempts and cluster together, one attempt at a time."""

    def __init__(self, actor: Actor, policy: Policy, name: str) -> None:
        self._actor = actor
        self._policy = policy
        self._name = name
        self._database = actor.platform.database

    async def look(self, attempt_id: str) -> timedelta | None:
        """Look once; answers after how long to look again, None when there is nothing more to do.

        The evidence is read after the observation: an exit that was reported before its head died is an outcome,
        not a lost head.

        Raises:
            TemporaryDriverError: the cluster did not do it; try again.
            StaleError: what was read is no longer so; look again.
            UnavailableError: the database or the object store is away.
        """
        before = await self._load(attempt_id)
        if before is None:
            return None
        asks = must_ask_ray(before.attempt, before.evidence, _silence(before), self._policy)
        observation = await self._actor.driver.observe(before.attempt, ask_ray=asks)
        loaded = await self._load(attempt_id)
        if loaded is None or loaded.attempt.version != before.attempt.version:
            return AT_ONCE
        view = view_of(loaded, observation)
        decision = decide(view, self._policy)
        match decision:
            case Wait(until):
                return until - view.now
            case Move():
                await self._record(view, decision)
                return AT_ONCE
            case Act():
                impossible = await self._actor.perform(decision, view, loaded.namespace)
                if impossible is not None:
                    await self._record(await self._fresh(view), impossible)
                    return AT_ONCE
                return self._policy.poll

    async def _load(self, attempt_id: str) -> Loaded | None:
        loaded = await self._database.read(partial(attempts.load, attempt_id=attempt_id))
        if loaded is None or not _is_ours(loaded.attempt, self._actor.lease.name):
            return None
        return loaded

    async def _fresh(self, view: View) -> View:
        loaded = await self._load(view.attempt.id)
        return view if loaded is None else view_of(loaded, view.observation)

    async def _record(self, view: View, move: Move) -> None:
        record = partial(attempts.record_move, lease=self._actor.lease, view=view, move=move, actor=self._name)
        await self._database.write(record)
        _log.info("%s: %s -> %s (%s)", view.attempt.id, view.attempt.pair, move.target, move.reason)
        await announce(self._actor, view.attempt)


async def announce(actor: Actor, attempt: Attempt) -> None:
    """Hint to watchers that the job changed, and to the queue that there may be a retry or room."""
    await actor.platform.bus.publish(topics.job_topic(attempt.job_id))
    await actor.platform.bus.publish(topics.QUEUE)


def view_of(loaded: Loaded, observation: Observation, impossible: str | None = None) -> View:
    """What `decide` may look at."""
    return View(
        attempt=loaded.attempt,
        spec=loaded.spec,
        submitted_at=loaded.submitted_at,
        now=loaded.now,
        observation=observation,
        evidence=loaded.evidence,
        stop=loaded.stop,
        requeue=loaded.requeue,
        blind_seconds=loaded.blind_seconds,
        superseded=loaded.superseded,
        impossible=impossible,
    )


def _is_ours(attempt: Attempt, cluster: str) -> bool:
    return attempt.cluster == cluster and attempt.resource_state is not ResourceState.TERMINATED


def _silence(loaded: Loaded) -> float:
    last: datetime = max(loaded.evidence.heartbeat_at or loaded.attempt.entered_at, loaded.attempt.entered_at)
    return (loaded.now - last).total_seconds()
