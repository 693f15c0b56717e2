"""One round: jobs through the real client, blows meanwhile, then calm and the oracle."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from dartjobs import Client, ConnectionFailedError, Job, JobState, ResourceState, UnavailableError
from tests.chaos.oracle import Ledger, Told, faults_of_job, faults_of_submission
from tests.chaos.storm import Blow, blows
from tests.chaos.work import Kind, Work, works
from tests.chaos.world import World, until_nothing_is_left

T = TypeVar("T")
_USERS = 32


@dataclass(frozen=True)
class Plan:
    """What one round is."""

    seed: int
    jobs: int
    patience: float
    """Seconds for the calm after it."""
    longest: float = 4.0
    """Seconds that a driver runs at most."""
    calm: float = 8.0
    """Seconds between two blows, at most."""
    longest_down: float = 4.0
    blows: int = 10
    """So many: enough for everything alone, and for all together."""
    ray: bool = False


@dataclass
class Report:
    """What a round was."""

    accepted: dict[str, Work] = field(default_factory=dict)
    blows: list[Blow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        head = f"{len(self.accepted)} jobs, {len(self.blows)} blows, {self.seconds:.0f} s: "
        return head + ("every job ended once" if not self.faults else "\n".join(["", *self.faults]))


def run(world: World, plan: Plan, say: Callable[[str], None]) -> Report:
    """Do it; `faults` of the report is empty when everything held."""
    report, began = Report(), time.monotonic()
    every = list(works(plan.seed, plan.jobs, plan.longest))
    with ThreadPoolExecutor(_USERS) as users:
        submissions = [users.submit(_submit, world, plan, number, work) for number, work in enumerate(every)]
        with _storm(world, plan, report, say):
            for submission, work in zip(submissions, every, strict=True):
                report.accepted[submission.result()] = work
            say(f"{len(report.accepted)} jobs accepted after {time.monotonic() - began:.0f} s")
            _until_terminated(world, plan, say)
        say("calm: asking the oracle")
        _until_terminated(world, plan, say)
        told = list(users.map(lambda job_id: _told(world, job_id), _ids(world, plan)))
    report.faults += faults_of_submission(report.accepted, every, told)
    ledger = Ledger.read((world.installation.folder / "ledger").read_text().splitlines())
    by_key = {work.key: work for work in every}
    for one in told:
        work = by_key[one.job.spec.labels["work"]]
        report.faults += faults_of_job(one, work, ledger, strict=not plan.ray)
    report.faults += [f"left: {one}" for one in until_nothing_is_left(world, 60.0)]
    report.faults += world.ended_by_themselves()
    report.seconds = time.monotonic() - began
    return report


def _submit(world: World, plan: Plan, number: int, work: Work) -> str:
    """As a patient user does, who stops it later if that is its kind."""
    began, ledger = time.monotonic(), world.installation.folder / "ledger"
    spec = work.spec(ledger, str(plan.seed), ray=plan.ray)

    def submit(client: Client) -> str:
        return client.submit(spec, idempotency_key=f"chaos-{work.key}").id

    job_id = _patiently(world, number, plan.patience, submit)
    if work.kind is Kind.IS_STOPPED:
        time.sleep(max(0.0, began + work.stop_after - time.monotonic()))
        _patiently(world, number, plan.patience, lambda client: client.stop(job_id))
    return job_id


def _patiently(world: World, number: int, seconds: float, call: Callable[[Client], T]) -> T:
    """At one replica after the other, until one answers."""
    give_up = time.monotonic() + seconds
    while True:
        number += 1
        with Client(world.apis[number % len(world.apis)].url, timeout=20.0, reconnect_for=5.0) as client:
            try:
                return call(client)
            except (ConnectionFailedError, UnavailableError):
                if time.monotonic() > give_up:
                    raise
        time.sleep(0.2)


@contextlib.contextmanager
def _storm(world: World, plan: Plan, report: Report, say: Callable[[str], None]) -> Iterator[None]:
    """Blows in a thread of their own; afterwards everything lives."""

    def rage() -> None:
        try:
            storm = blows(plan.seed, list(world.targets), calm=plan.calm, longest_down=plan.longest_down)
            for blow in islice(storm, plan.blows):
                time.sleep(blow.after)
                report.faults += world.ended_by_themselves()
                say(f"killing {', '.join(blow.targets)} for {blow.down:.1f} s")
                _strike(world, blow)
                report.blows.append(blow)
        except Exception as error:  # noqa: BLE001 - told by the round
            report.faults.append(f"the storm broke off: {error!r}")

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        for api in world.apis:
            if not report.faults:
                api.until_it_serves()


def _strike(world: World, blow: Blow) -> None:
    hit = [world.targets[name] for name in blow.targets]
    for one in hit:
        one.kill()
    time.sleep(blow.down)
    for one in hit:
        one.start()


def _until_terminated(world: World, plan: Plan, say: Callable[[str], None]) -> None:
    give_up, said = time.monotonic() + plan.patience, 0.0
    while True:
        jobs = _jobs(world, plan)
        left = [job for job in jobs if not _is_over(job)]
        if not left:
            return
        if time.monotonic() > give_up:
            msg = f"{len(left)} jobs have not ended, such as {left[0].id}: {left[0].attempt}"
            raise TimeoutError(msg)
        if time.monotonic() > said + 10.0:
            said = time.monotonic()
            say(f"{len(left)} of {len(jobs)} jobs go on")
        time.sleep(1.0)


def _is_over(job: Job) -> bool:
    return job.finished_at is not None and job.attempt.resource_state is ResourceState.TERMINATED


def _jobs(world: World, plan: Plan) -> list[Job]:
    return _patiently(world, 0, plan.patience, lambda client: list(client.list(selector=f"round={plan.seed}")))


def _ids(world: World, plan: Plan) -> list[str]:
    return [job.id for job in _jobs(world, plan)]


def _told(world: World, job_id: str) -> Told:
    def ask(client: Client) -> Told:
        job = client.get(job_id)
        begun = job.attempt.driver_started_at is not None or job.job_state is JobState.SUCCEEDED
        return Told(job, client.events(job_id), b"".join(client.logs(job_id)) if begun else b"")

    return _patiently(world, 0, 60.0, ask)
