"""A whole installation in simulated time: two Sync Services for one cluster, a controller, and a world that fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.blobs.stores import open_store
from dartjobs.bus.memory import MemoryBus
from dartjobs.controller.lost import Lost
from dartjobs.controller.queued import Queue
from dartjobs.core.choosing import choose
from dartjobs.core.policy import Policy
from dartjobs.drivers.base import DriverError
from dartjobs.models.cluster import Limits, Settings
from dartjobs.models.problem import ClusterInUseError, NotRunningError, UnavailableError
from dartjobs.models.spec import JobSpec
from dartjobs.store import attempts, clusters, evidence, jobs, leases, lost, placement, registry, tables, wakeups
from dartjobs.store.clusters import Registration
from dartjobs.store.database import Database, StaleError
from dartjobs.store.leases import Lease
from dartjobs.store.settings import DatabaseSettings
from dartjobs.store.submissions import NewJob, Submission, record_all
from dartjobs.sync.acts import Actor
from dartjobs.sync.ledger import Ledger
from dartjobs.sync.reconcile import Reconciler
from dartjobs.sync.room import Room
from dartjobs.sync.sweep import Sweeper
from tests.fakes.platform import parts_of
from tests.properties.faults import CrashError, Fault, Faults, FaultyDatabase, FaultyDriver
from tests.properties.world import Report, World

CLUSTER = "local"
LEASE = timedelta(seconds=15)
START = datetime(2026, 1, 1, tzinfo=UTC)
_PASSING = (StaleError, DriverError, UnavailableError)
"""What a Sync Service's loop takes as a reason to look again."""


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the database says, by table, in the order of the primary keys."""

    rows: Mapping[str, list[dict[str, Any]]]

    def of(self, table: Table) -> list[dict[str, Any]]:
        """The rows of this table."""
        return self.rows[table.name]


class Service:
    """One Sync Service's process: it may crash, be stopped, and go on with a view that is long out of date."""

    def __init__(self, simulation: "Simulation", name: str) -> None:
        self.name = name
        self.faults = Faults()
        self.lease: Lease | None = None
        self.paused: asyncio.Task[None] | None = None
        real = simulation.platform
        self.platform = replace(real, database=FaultyDatabase(real.database, self.faults))
        self.driver = FaultyDriver(simulation.world, self.faults)

    @property
    def is_up(self) -> bool:
        """It has had the lease, and nobody has stopped it."""
        return self.lease is not None and self.paused is None

    @property
    def ledger(self) -> Ledger:
        """What it reads and records with now."""
        assert self.lease is not None
        ledger = Ledger(self.platform, self.lease, Room({}))
        ledger.actor = self.name  # so that history tells the two apart
        return ledger

    def actor(self, ledger: Ledger) -> Actor:
        """What it acts with now."""
        assert self.lease is not None
        return Actor(self.platform, self.driver, self.lease, "http://gateway", b"secret", "here", ledger.record)

    async def look(self, attempt_id: str) -> None:
        """Look once at the attempt."""
        ledger = self.ledger
        recording = asyncio.create_task(ledger.run())
        try:
            await Reconciler(self.actor(ledger), Policy(), ledger, 1).look(attempt_id)
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)


class Simulation:
    """What can happen, each thing a method."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.world = World()
        self.platform = parts_of(database, MemoryBus(), open_store("memory://"))
        self.services = [Service(self, "sync-a"), Service(self, "sync-b")]
        self.controller = Service(self, "controller")
        self.jobs: list[str] = []
        self.log: list[logging.LogRecord] = []

    async def submit(self, spec: JobSpec) -> None:
        """Record a job."""
        new = NewJob(f"job-{len(self.jobs):026d}", "team", "ann", spec)
        (recorded,) = await record_all(self.platform.database, [Submission([new])])
        assert recorded.job_ids == [new.id]
        self.jobs.append(new.id)

    async def stop(self, job_id: str) -> None:
        """Ask for a stop."""
        stop = partial(jobs.request_stop, namespace="team", job_id=job_id, by="bob", reason="")
        await self.platform.database.write(stop)

    async def requeue(self, job_id: str) -> bool:
        """Ask for the end of its attempt and a new one; False where there is nothing to send back."""
        wish = partial(jobs.request_requeue, namespace="team", job_id=job_id, by="olga", reason="")
        try:
            await self.platform.database.write(wish)
        except NotRunningError:
            return False
        return True

    async def take_lease(self, service: Service) -> None:
        """Start, or come back: register the cluster and take the lease, if nobody else holds it."""
        capacity = await self.world.capacity()
        registration = Registration(CLUSTER, await self.world.identity(), capacity, {})
        await self.platform.database.write(partial(clusters.register, registration=registration))
        take = partial(leases.acquire, name=CLUSTER, holder=service.name, duration=LEASE)
        service.lease = await self.platform.database.write(take) or service.lease

    async def renew(self, service: Service) -> None:
        """Prolong the lease that it has."""
        assert service.lease is not None
        await self.platform.database.write(partial(leases.renew, lease=service.lease, duration=LEASE))

    async def claim(self, service: Service, fault: Fault | None = None, after: int = 0) -> None:
        """Take what fits from the queue."""
        await self._do(service, self._claim(service), fault, after)

    async def look(self, service: Service, attempt_id: str, fault: Fault | None = None, after: int = 0) -> None:
        """Look at one attempt."""
        await self._do(service, service.look(attempt_id), fault, after)

    async def serve(self, service: Service) -> None:
        """Claim, and look at everything once."""
        await self.claim(service)
        for attempt_id in await self.live():
            await self.look(service, attempt_id)

    async def answer_wakeups(self, service: Service, fault: Fault | None = None, after: int = 0) -> None:
        """Look at what was announced, and delete each announcement after its look."""
        await self._do(service, self._answer_wakeups(service), fault, after)

    async def sweep(self, service: Service, fault: Fault | None = None, after: int = 0) -> None:
        """Delete what no live attempt accounts for."""
        await self._do(service, self._sweep(service), fault, after)

    async def go_on(self, service: Service) -> None:
        """Let a stopped process go on where it was stopped."""
        task, service.paused = service.paused, None
        service.faults.goes_on.set()
        if task is not None:
            await asyncio.wait([task])
            self._ended(service, task)

    async def control(self, fault: Fault | None = None, after: int = 0) -> None:
        """The controller starts, takes its lease, makes one pass, and is gone."""
        if self.controller.paused is not None:
            await self.go_on(self.controller)
        take = partial(leases.acquire, name=leases.CONTROLLER, holder="controller", duration=LEASE)
        lease = await self.platform.database.write(take)
        assert lease is not None
        await self._do(self.controller, self._control(lease), fault, after)

    async def declare_lost(self) -> None:
        """An operator gives the cluster up."""
        await self.platform.database.write(partial(lost.declare_lost, name=CLUSTER, by="olga"))

    async def readmit(self) -> None:
        """An operator lets it come back."""
        await self.platform.database.write(partial(lost.readmit, name=CLUSTER, by="olga"))

    async def cordon(self, *, schedulable: bool) -> None:
        """An operator lets the cluster take no new jobs, or takes that back."""
        change = partial(clusters.set_schedulable, name=CLUSTER, schedulable=schedulable, by="olga")
        await self.platform.database.write(change)

    async def limit(self, most: int | None) -> None:
        """An operator says how many attempts the cluster may hold at once."""
        settings = Settings(limits=Limits(jobs=most))
        await self.platform.database.write(
            partial(registry.add, name=CLUSTER, settings=settings, by="olga", replace=True)
        )

    async def drain(self) -> list[str]:
        """An operator empties the cluster; answers the jobs that are sent back."""
        await self.cordon(schedulable=False)
        send = partial(registry.send_back, name=CLUSTER, by="olga", reason="", limit=9)
        return (await self.platform.database.write(send)).job_ids

    async def remove(self) -> None:
        """An operator forgets the cluster, where that is not refused."""
        with suppress(ClusterInUseError):
            while await self.platform.database.write(partial(registry.remove, name=CLUSTER, by="olga")) is False:
                pass

    async def deliver(self, report: Report) -> None:
        """As the gateway takes a report."""
        database = self.platform.database
        if await database.read(partial(evidence.accepts_reports, attempt_id=report.attempt_id)):
            record = partial(evidence.report, attempt_id=report.attempt_id, kind=report.kind, body=report.body)
            await database.write(record)

    async def facts(self) -> Facts:
        """What the database says now."""
        return await self.platform.database.read(_read_all)

    async def live(self) -> list[str]:
        """Every attempt that is not TERMINATED, in the order of ids."""
        return [row["id"] for row in (await self.facts()).of(tables.attempts) if row["terminated_at"] is None]

    async def heal(self, rounds: int = 120) -> bool:
        """Let the world allow everything, and serve until nothing is left to do; whether that came."""
        for service in (*self.services, self.controller):
            await self.go_on(service)
        await self.readmit()
        await self.cordon(schedulable=True)
        await self.limit(None)
        self.clock.now += LEASE
        await self.take_lease(self.services[0])
        for _ in range(rounds):
            self.clock.now += timedelta(seconds=20)
            self.world.goes_on()
            while self.world.reports:
                await self.deliver(self.world.reports.pop(0))
            await self.renew(self.services[0])
            await self.control()
            if not await self.live():
                await self.sweep(self.services[0])
                return True
            await self.serve(self.services[0])
        return False

    async def _claim(self, service: Service) -> None:
        lease = service.lease
        assert lease is not None
        queue, _ = await self.platform.database.read(placement.queue)
        mine = [view for view in await self.platform.database.read(clusters.views) if view.name == CLUSTER]
        for queued in choose(queue, mine[0]) if mine else []:
            take = partial(attempts.claim, lease=lease, attempt_id=queued.attempt_id, actor=service.name)
            await service.platform.database.write(take)

    async def _answer_wakeups(self, service: Service) -> None:
        for wakeup in await self.platform.database.read(partial(wakeups.read_wakeups, cluster=CLUSTER)):
            await service.look(wakeup.attempt_id)
            await service.platform.database.write(partial(wakeups.delete_wakeup, cluster=CLUSTER, wakeup=wakeup))

    async def _control(self, lease: Lease) -> None:
        await Queue(self.controller.platform, lease).look()
        await Lost(self.controller.platform, lease).look()

    async def _sweep(self, service: Service) -> None:
        held = await service.driver.inventory()
        live = set(await self.platform.database.read(partial(placement.live_ids, cluster=CLUSTER)))
        await Sweeper(service.actor(service.ledger), timedelta(0)).sweep(
            [one for one in held if one.attempt_id not in live]
        )

    async def _do(self, service: Service, what: Coroutine[Any, Any, None], fault: Fault | None, after: int) -> None:
        service.faults.prepare(fault, after)
        task: asyncio.Task[None] = asyncio.ensure_future(what)
        stopped = asyncio.ensure_future(service.faults.stopped.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            self._ended(service, task)
        else:
            service.paused = task

    def _ended(self, service: Service, task: "asyncio.Task[None]") -> None:
        service.faults.prepare(None, 0)
        error = task.exception()
        if isinstance(error, CrashError):
            service.lease = None
        elif error is not None and not isinstance(error, _PASSING):
            raise error


_READ = (
    tables.jobs,
    tables.attempts,
    tables.transitions,
    tables.wakeups,
    tables.evidence,
    tables.leases,
    tables.clusters,
)


async def _read_all(conn: AsyncConnection) -> Facts:
    rows = {}
    for table in _READ:
        statement = select(table).order_by(*table.primary_key.columns)
        rows[table.name] = [dict(row._mapping) for row in await conn.execute(statement)]
    return Facts(rows)


@asynccontextmanager
async def open_simulation(url: str) -> AsyncIterator[Simulation]:
    """A simulation on this database."""
    clock = Clock()
    database = Database(DatabaseSettings(url=SecretStr(url)), clock=clock)
    try:
        yield Simulation(database, clock)
    finally:
        await database.close()
