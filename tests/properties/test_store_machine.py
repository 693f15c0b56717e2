"""Whatever happens, in whatever order: nothing goes back, no driver starts twice, and everything ends at last."""

import asyncio
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import INITIAL, JobState, Pair, ResourceState, is_legal_move
from dartjobs.store import tables
from tests.fakes.engines import url_on
from tests.properties.faults import CrashError, Fault
from tests.properties.simulation import CLUSTER, LEASE, Facts, Service, Simulation, open_simulation

SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "large": {"head": {"cpu": 2}, "priority": 5},
    "impossible": {"head": {"cpu": 64}},
    "kept": {"ttl_after_finished": "5m", "retries": {"user": 1, "backoff": "0s"}},
    "retried": {"retries": {"infrastructure": 2, "backoff": "0s"}},
    "retried later": {"retries": {"infrastructure": 1, "user": 1, "timeout": 1, "backoff": "30s"}},
    "limited": {"timeouts": {"job": "10m", "queued": "5m", "creating": "1m", "starting": "2m"}},
}
FAULTS = st.none() | st.sampled_from(Fault)
AFTER = st.integers(0, 4)
SECONDS_OF_STEPS = [timedelta(seconds=seconds) for seconds in (0.1, 1, 5, 16, 40, 130, 700)]
PLACES = st.integers(0, 99)
"""An index into what there is, taken modulo its length."""
WORK = ["look", "look", "look", "claim", "answer", "sweep", "crash"]
MEANWHILE = ["stop", "stop", "requeue", "give up", "takeover", "takeover"]
CHANGES = ["forgets", "starts", "ends", "ends", "fails", "dies", "replaced", "broken", "silent", "deleted", "network"]
_HELD = {ResourceState.CREATING.value, ResourceState.READY.value, ResourceState.TERMINATING.value}
_FINAL = {state.value for state in JobState if state.is_final}


T = TypeVar("T")


class StoreMachine(RuleBasedStateMachine):
    """The real store, `decide`, reconciler, sweep and controller, against a cluster and processes that fail."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="dartjobs-machine-"))
        self.stack = AsyncExitStack()
        self.sim: Simulation = self.do(self._open())
        self.before: dict[str, dict[str, Any]] = {}
        self.finished: dict[str, object] = {}
        self.stopped: dict[str, int] = {}
        self.requeues: Counter[str] = Counter()
        self.cluster: dict[str, Any] = {"schedulable": 1, "settings": None}
        self.claims = self.held = 0
        self.faulty = Faulty()
        logging.getLogger("dartjobs").addHandler(self.faulty)

    async def _open(self) -> Simulation:
        url = await self.stack.enter_async_context(url_on("sqlite", self.folder))
        return await self.stack.enter_async_context(open_simulation(url))

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run it to its end; who was stopped stays stopped."""
        return self.runner.run(what)

    @initialize(kind=st.sampled_from(list(SPECS)), rounds=st.integers(0, 6), starts=st.booleans())
    def one_serves(self, kind: str, rounds: int, starts: bool) -> None:  # noqa: FBT001 - Hypothesis calls it by name
        self.do(self.sim.take_lease(self.sim.services[0]))
        self.submit(kind)
        self.serve(0, rounds, starts)

    # Users

    @precondition(lambda self: len(self.sim.jobs) < 5)
    @rule(kind=st.sampled_from(list(SPECS)))
    def submit(self, kind: str) -> None:
        self.do(self.sim.submit(JobSpec.model_validate({"entrypoint": "true", **SPECS[kind]})))

    @rule(place=PLACES, wish=st.sampled_from(["stop", "requeue", "requeue", "give up", "readmit", "readmit"]))
    def ask(self, place: int, wish: str) -> None:
        job_id = self.sim.jobs[place % len(self.sim.jobs)]
        match wish:
            case "stop":
                self.do(self.sim.stop(job_id))
            case "requeue":
                self.requeues[job_id] += self.do(self.sim.requeue(job_id))
            case "give up":
                self.do(self.sim.declare_lost())
            case _:
                self.do(self.sim.readmit())

    @rule(act=st.sampled_from(["cordon", "uncordon", "limit", "limit", "no limit", "drain", "remove", "burn down"]))
    def operate(self, act: str) -> None:
        match act:
            case "cordon" | "uncordon":
                self.do(self.sim.cordon(schedulable=act == "uncordon"))
            case "drain":
                self.requeues.update(self.do(self.sim.drain()))
            case "remove":
                self.sim.clock.now += 2 * LEASE
                self.do(self.sim.remove())
            case "burn down":
                self.do(self.sim.declare_lost())
                self.control(None, 0)
                self.do(self.sim.remove())
            case _:
                self.do(self.sim.limit(1 if act == "limit" else None))

    # Time and processes

    @rule(passed=st.sampled_from(SECONDS_OF_STEPS))
    def time_passes(self, passed: timedelta) -> None:
        self.sim.clock.now += passed

    @rule(which=st.integers(0, 1), late=st.booleans())
    def take_lease(self, which: int, late: bool) -> None:  # noqa: FBT001 - Hypothesis calls it by name
        if late:
            self.sim.clock.now += 2 * LEASE
        if self.sim.services[which].paused is None:
            self.do(self.sim.take_lease(self.sim.services[which]))

    @precondition(lambda self: self.stopped_ones())
    @rule(which=PLACES)
    def go_on(self, which: int) -> None:
        stopped = self.stopped_ones()
        self.do(self.sim.go_on(stopped[which % len(stopped)]))

    @precondition(lambda self: self.up())
    @rule(which=PLACES, what=st.sampled_from(WORK), place=PLACES, fault=FAULTS, after=AFTER)
    def work(self, which: int, what: str, place: int, fault: Fault | None, after: int) -> None:
        service = self.up()[which % len(self.up())]
        match what:
            case "claim":
                self.do(self.sim.claim(service, fault, after))
            case "answer":
                self.do(self.sim.answer_wakeups(service, fault, after))
            case "sweep":
                self.do(self.sim.sweep(service, fault, after))
            case "crash":
                service.lease = None
            case _:
                ids = sorted(self.before)
                self.do(self.sim.look(service, ids[place % len(ids)], fault, after))

    @precondition(lambda self: self.up())
    @rule(which=PLACES, rounds=st.integers(1, 5), starts=st.booleans())
    def serve(self, which: int, rounds: int, starts: bool) -> None:  # noqa: FBT001 - Hypothesis calls it by name
        service = self.up()[which % len(self.up())]
        for _ in range(rounds):
            self.do(self.sim.serve(service))
            for attempt_id in self.sim.world.heads if starts else ():
                self.sim.world.runner_starts(attempt_id, told=True)

    @precondition(lambda self: self.up())
    @rule(place=PLACES, after=st.integers(0, 3), meanwhile=st.sampled_from(MEANWHILE), first=st.sampled_from(CHANGES))
    def stand_still(self, place: int, after: int, meanwhile: str, first: str) -> None:
        """Something happens, somebody looks, is stopped between reading and writing, and much happens meanwhile."""
        service, ids = self.up()[0], sorted(self.before)
        self.world_changes(place, first, told=False)
        self.do(self.sim.look(service, ids[place % len(ids)], Fault.PAUSE, after))
        self.nothing_is_wrong()
        if meanwhile == "takeover":
            self.take_lease(1 - self.sim.services.index(service), late=True)
            if self.up():  # a lost cluster's lease is nobody's
                self.serve(0, 2, starts=True)
        else:
            self.ask(place, meanwhile)
        self.nothing_is_wrong()
        self.do(self.sim.go_on(service))

    @precondition(lambda self: self.up())
    @rule(after=st.integers(0, 1), passed=st.sampled_from(SECONDS_OF_STEPS[-2:]))
    def the_controller_stands_still(self, after: int, passed: timedelta) -> None:
        """Between deciding about what is queued and writing it; meanwhile it is claimed."""
        self.submit("limited")
        self.time_passes(passed)
        self.control(Fault.PAUSE, after)
        self.nothing_is_wrong()
        self.serve(0, 1, starts=False)
        self.nothing_is_wrong()
        self.do(self.sim.go_on(self.sim.controller))

    @precondition(lambda self: self.up())
    @rule(place=PLACES)
    def ray_forgets_a_driver_that_ran(self, place: int) -> None:
        """Before anybody heard of its start."""
        for what in ("starts", "forgets"):
            self.world_changes(place, what, told=False)
        self.serve(0, 2, starts=True)

    @rule(fault=FAULTS, after=AFTER)
    def control(self, fault: Fault | None, after: int) -> None:
        self.do(self.sim.control(fault, after))

    # The world

    @rule(place=PLACES, what=st.sampled_from(CHANGES), told=st.booleans())
    def world_changes(self, place: int, what: str, told: bool) -> None:  # noqa: FBT001 - Hypothesis calls it by name
        world, heads = self.sim.world, sorted(self.sim.world.heads)
        if what == "network":
            world.reachable = told
        elif heads:
            world.change(what, heads[place % len(heads)], told=told)

    @precondition(lambda self: self.sim.world.reports)
    @rule(place=PLACES, again=st.booleans())
    def report_arrives(self, place: int, again: bool) -> None:  # noqa: FBT001 - Hypothesis calls it by name
        reports = self.sim.world.reports
        report = reports[place % len(reports)]
        self.do(self.sim.deliver(report))
        if not again:
            reports.remove(report)

    # What holds after each of these

    @invariant()
    def nothing_is_wrong(self) -> None:
        facts: Facts = self.do(self.sim.facts())
        attempts = {row["id"]: row for row in facts.of(tables.attempts)}
        self.check_writers(facts)
        self.check_cluster(facts)
        for attempt_id, row in attempts.items():
            self.check_attempt(row, [one for one in facts.of(tables.transitions) if one["attempt_id"] == attempt_id])
        assert self.before.keys() <= attempts.keys()
        self.before = attempts
        for row in facts.of(tables.jobs):
            self.check_job(row, [one for one in attempts.values() if one["job_id"] == row["id"]])
        assert max(Counter(self.sim.world.ledger).values(), default=0) <= 1, self.sim.world.ledger
        assert self.faulty.messages == []

    def check_writers(self, facts: Facts) -> None:
        """What a Sync Service wrote in this step it wrote under the cluster's lease."""
        holders = {row["name"]: row["holder"] for row in facts.of(tables.leases)}
        for move in facts.of(tables.transitions):
            old = self.before.get(move["attempt_id"])
            if move["actor"].startswith("sync") and move["version"] > (old["version"] if old else 0):
                assert move["actor"] == holders[CLUSTER], "a write after the lease was lost"

    def check_cluster(self, facts: Facts) -> None:
        """Nothing was claimed past a cordon or a limit, and nothing lives on a cluster that was forgotten."""
        held = [row for row in facts.of(tables.attempts) if row["resource_state"] in _HELD]
        claims = sum(move["reason"] == Reason.CLAIMED for move in facts.of(tables.transitions))
        found = facts.of(tables.clusters)
        row: dict[str, Any] = found[0] if found else {"schedulable": 0, "settings": None}
        assert found or not held
        if not row["schedulable"] and not self.cluster["schedulable"]:
            assert claims == self.claims
        if row["settings"] is not None and row["settings"] == self.cluster["settings"]:
            most = row["settings"]["limits"]["jobs"]
            assert most is None or len(held) <= max(most, self.held)
        self.cluster, self.claims, self.held = row, claims, len(held)

    def check_attempt(self, row: dict[str, Any], moves: list[dict[str, Any]]) -> None:
        pair = INITIAL
        for number, move in enumerate(moves, start=1):
            assert move["version"] == number
            target = pair_of(move)
            if number > 1:
                assert (move["from_resource_state"], move["from_job_state"]) == (pair.resource_state, pair.job_state)
                assert is_legal_move(pair, target)
            pair = target
        assert pair_of(row) == pair
        assert row["version"] == len(moves)
        old = self.before.get(row["id"])
        if old is not None:
            assert pair_of(old) == pair or is_legal_move(pair_of(old), pair)
            for name in ("finished_at", "terminated_at", "intent_head_uid", "driver_seen_at", "cluster_uid"):
                assert old[name] is None or old[name] == row[name], name
        assert (row["finished_at"] is not None) == (row["job_state"] in _FINAL)
        assert (row["terminated_at"] is not None) == (row["resource_state"] == ResourceState.TERMINATED)

    def check_job(self, row: dict[str, Any], own: list[dict[str, Any]]) -> None:
        own.sort(key=lambda one: int(one["number"]))
        assert [one["number"] for one in own] == list(range(1, row["latest"] + 1))
        assert all(one["job_state"] in _FINAL for one in own[:-1])
        assert (row["finished_at"] is not None) == (own[-1]["job_state"] in _FINAL)
        assert self.finished.setdefault(row["id"], row["finished_at"] or None) in {None, row["finished_at"]}
        self.finished[row["id"]] = row["finished_at"]
        if row["stop_at"] is not None:
            assert self.stopped.setdefault(row["id"], row["latest"]) == row["latest"], "a retry passed a stop"
        limits = JobSpec.model_validate(row["spec"]).retries.model_dump()
        requeued = [one for one in own[:-1] if one["reason"] == Reason.REQUEUED]
        assert len(requeued) <= self.requeues[row["id"]]
        for category, count in Counter(one["category"] for one in own[:-1] if one not in requeued).items():
            assert count <= limits.get(str(category).lower(), 0), category

    def teardown(self) -> None:
        try:
            healed = self.do(self.sim.heal())
            self.nothing_is_wrong()
            left = [(row["id"], str(pair_of(row))) for row in self.before.values() if row["terminated_at"] is None]
            assert healed, left
            assert self.sim.world.heads == {}
            assert all(self.finished.values())
        finally:
            logging.getLogger("dartjobs").removeHandler(self.faulty)
            self.do(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def stopped_ones(self) -> list[Service]:
        return [one for one in (*self.sim.services, self.sim.controller) if one.paused is not None]

    def up(self) -> list[Service]:
        return [one for one in self.sim.services if one.is_up]


class Faulty(logging.Handler):
    """Keeps what the platform reports as a fault of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        crashed = record.exc_info is not None and isinstance(record.exc_info[1], CrashError)
        if "fault of the platform" in record.getMessage() and not crashed:
            self.messages.append(self.format(record))


def pair_of(row: dict[str, Any]) -> Pair:
    return Pair(ResourceState(row["resource_state"]), JobState(row["job_state"]))


StoreMachine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink a failure takes minutes: add Phase.shrink where one is found
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestStoreMachine = StoreMachine.TestCase
