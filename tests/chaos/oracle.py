"""What must hold when everything is calm again: by what the API tells, against the ledger that the drivers wrote."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dartjobs.models.job import Job, Transition
from dartjobs.models.state import MOVES, JobState, Pair, ResourceState
from tests.chaos.work import ENDS, Kind, Work

_GAP = b"[dartjobs: "


@dataclass
class Ledger:
    """Starts and exit codes by attempt."""

    starts: Counter[str] = field(default_factory=Counter)
    ends: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Ledger":
        found = cls()
        for line in lines:
            what, attempt, value = line.split()
            if what == "start":
                found.starts[attempt] += 1
            else:
                found.ends[attempt].append(int(value))
        return found


@dataclass(frozen=True)
class Told:
    """What the API tells about one job."""

    job: Job
    events: Sequence[Transition]
    log: bytes
    """Of the latest attempt."""


def faults_of_submission(accepted: Iterable[str], submitted: Sequence[Work], told: Sequence[Told]) -> list[str]:
    """What was accepted is there, and each work is one job, however often its submission was sent."""
    there = {one.job.id for one in told}
    works = Counter(one.job.spec.labels["work"] for one in told)
    lost = [f"{job_id}: accepted and lost" for job_id in accepted if job_id not in there]
    wrong = [f"work {work.key}: {works[work.key]} jobs" for work in submitted if works[work.key] != 1]
    return lost + wrong


def faults_of_job(told: Told, work: Work, ledger: Ledger, *, strict: bool) -> list[str]:
    """Everything that is wrong with one job; `strict` where nothing but its own doing ends an attempt."""
    job = told.job
    attempts = {event.attempt_id for event in told.events}
    faults = [*_faults_of_moves(told), *_faults_of_end(told)]
    faults += [f"{one} was started {ledger.starts[one]} times" for one in attempts if ledger.starts[one] > 1]
    faults += [f"{one} ended {len(ledger.ends[one])} times" for one in attempts if len(ledger.ends[one]) > 1]
    faults += _faults_of_outcome(told, ledger)
    if job.job_state is not ENDS[work.kind]:
        faults.append(f"{job.job_state} ({job.attempt.reason}: {job.attempt.message}) though it {work.kind}")
    if strict and work.kind is Kind.IS_RETRIED and job.attempt.number != 2:
        faults.append(f"{job.attempt.number} attempts instead of 2")
    return [f"{job.id} ({work.kind}): {fault}" for fault in faults + _faults_of_log(told, work, ledger)]


def _faults_of_moves(told: Told) -> list[str]:
    """Replaying the transitions of each attempt gives only legal moves, each version once, and ends in TERMINATED."""
    faults = []
    by_attempt: defaultdict[int, list[Transition]] = defaultdict(list)
    for event in told.events:
        by_attempt[event.attempt].append(event)
    for number, events in by_attempt.items():
        events.sort(key=lambda event: event.version)
        if [event.version for event in events] != list(range(1, len(events) + 1)):
            faults.append(f"versions of attempt {number} are {[event.version for event in events]}")
        pairs = [Pair(event.resource_state, event.job_state) for event in events]
        moves = pairwise(pairs)
        faults += [f"attempt {number} moved {old} -> {new}" for old, new in moves if new not in MOVES[old]]
        if pairs[-1].resource_state is not ResourceState.TERMINATED:
            faults.append(f"attempt {number} is left at {pairs[-1]}")
    if sorted(by_attempt) != list(range(1, told.job.attempt.number + 1)):
        faults.append(f"attempts {sorted(by_attempt)}, and the latest is {told.job.attempt.number}")
    return faults


def _faults_of_end(told: Told) -> list[str]:
    """The job is finished since the one moment at which its last attempt got its outcome."""
    final = [event for event in told.events if event.attempt == told.job.attempt.number and event.job_state.is_final]
    if not final or told.job.finished_at is None:
        return ["it never ended"]
    if told.job.finished_at != min(event.at for event in final):
        return [f"finished_at {told.job.finished_at} is not the moment of its outcome"]
    return []


def _faults_of_outcome(told: Told, ledger: Ledger) -> list[str]:
    """No outcome that the ledger contradicts."""
    job, attempt = told.job, told.job.attempt
    ends = ledger.ends.get(attempt.id, [])
    if job.job_state is JobState.SUCCEEDED and ends != [0]:
        return [f"SUCCEEDED, and the ledger has ends {ends}"]
    if job.job_state is JobState.FAILED and 0 in ends:
        return [f"FAILED ({attempt.reason}), and the ledger has ends {ends}"]
    if ends and attempt.exit_code is not None and attempt.signal is None and ends != [attempt.exit_code]:
        return [f"exit code {attempt.exit_code}, and the ledger has ends {ends}"]
    return []


def _faults_of_log(told: Told, work: Work, ledger: Ledger) -> list[str]:
    """Whole, or its gap is marked; what is there is in order."""
    wanted = work.log()
    lines = [line for line in told.log.decode(errors="replace").splitlines() if line.startswith("line ")]
    if _GAP in told.log:
        return []
    if ledger.ends.get(told.job.attempt.id) and lines != wanted:
        return [f"the log has {len(lines)} of {len(wanted)} lines and no mark"]
    if lines != wanted[: len(lines)]:
        return ["the log's lines are not in order"]
    return []
