"""A job and its history, for people."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from dartjobs.cli.output import duration
from dartjobs.cli.text import clean, coloured_state, short, stamp, table
from dartjobs.models.job import Attempt, Job, Transition
from dartjobs.models.quantity import format_cpu, format_duration, format_memory
from dartjobs.models.reason import FACTS
from dartjobs.models.spec import JobSpec, NodeResources, WorkerGroup
from dartjobs.models.state import JobState

_HISTORY = ("AT", "ATTEMPT", "STATE", "FOR", "REASON", "MESSAGE", "ACTOR")


def describe(job: Job, now: datetime) -> str:
    """Everything of a job that its user asks about, a line each; what is not set is left out."""
    rows = [(label, clean(text)) for label, text in _facts(job, now) if text]
    width = max(len(label) for label, _ in rows)
    shown = [(label, coloured_state(text) if label == "State" else text) for label, text in rows]
    return "\n".join(f"{label.ljust(width)}  {text}" for label, text in shown)


def history(transitions: Sequence[Transition], now: datetime) -> str:
    """The moves of every attempt, oldest first, with the time spent in each state."""
    return table(_HISTORY, [_move(transitions, index, now) for index in range(len(transitions))])


def outcome(job: Job) -> str:
    """What became of a finished job, in a line."""
    attempt = job.attempt
    if job.job_state is JobState.SUCCEEDED:
        return f"{job.id} {job.job_state}"
    code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    text = clean(attempt.message) or FACTS[attempt.reason].meaning
    sentence = text if text.endswith((".", "!", "?")) else f"{text}."
    return clean(f"{job.id} {job.job_state}, {attempt.reason}{code}: {sentence} {advice(attempt)}")


def advice(attempt: Attempt) -> str:
    """What to do next, with the job's id in its commands."""
    return attempt.reason.advice.replace(" JOB", f" {attempt.job_id}")


def _facts(job: Job, now: datetime) -> Iterator[tuple[str, str]]:
    attempt = job.attempt
    category = f" ({attempt.category})" if attempt.category else ""
    yield "ID", job.id
    yield "Name", job.name
    yield "Namespace", job.namespace
    yield "User", job.user
    yield "State", job.job_state
    yield "Resources", attempt.resource_state
    yield "Reason", f"{attempt.reason}{category}: {FACTS[attempt.reason].meaning}"
    yield "Message", attempt.message
    yield "Why", job.why
    yield "Advice", advice(attempt)
    yield "Exit code", "" if attempt.exit_code is None else str(attempt.exit_code)
    yield "Signal", attempt.signal or ""
    yield "Stop", f"asked for by {job.stop.by}, {stamp(job.stop.at)} {job.stop.reason}" if job.stop else ""
    yield "Cluster", attempt.cluster or ""
    yield "Attempt", str(attempt.number)
    yield "Submitted", _moment(job.submitted_at, now)
    yield "Not before", _moment(attempt.not_before, now)
    yield "Started", _moment(attempt.driver_started_at, now)
    yield "Finished", _moment(job.finished_at, now)
    yield "Duration", duration(job, now)
    yield from _facts_of_spec(job.spec)


def _facts_of_spec(spec: JobSpec) -> Iterator[tuple[str, str]]:
    yield "Entrypoint", spec.entrypoint if isinstance(spec.entrypoint, str) else shlex.join(spec.entrypoint)
    yield "Working dir", spec.runtime_env.working_dir or ""
    yield "pip", " ".join(spec.runtime_env.pip)
    yield "uv", " ".join(spec.runtime_env.uv)
    yield "Head", _node(spec.head)
    for group in spec.workers:
        yield "Workers", f"{group.name}: {_replicas(group)} of {_node(group)}"
    yield "Timeout", "" if spec.timeouts.job is None else format_duration(spec.timeouts.job)
    yield "Priority", str(spec.priority or "")
    yield "Selector", _pairs(spec.cluster_selector.items())
    yield "Labels", _pairs(spec.labels.items())
    yield "Annotations", _pairs(spec.annotations.items())


def _move(transitions: Sequence[Transition], index: int, now: datetime) -> tuple[str, ...]:
    one = transitions[index]
    later = (other.at for other in transitions[index + 1 :] if other.attempt == one.attempt)
    is_end = one.job_state.is_final and one.resource_state == "TERMINATED"
    until = next(later, None if is_end else now)
    return (
        stamp(one.at),
        str(one.attempt),
        f"{one.resource_state}, {one.job_state}",
        "" if until is None else short(until - one.at),
        one.reason,
        one.message,
        one.actor,
    )


def _moment(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    return f"{stamp(at)} ({short(now - at)} ago)" if at <= now else f"{stamp(at)} (in {short(at - now)})"


def _node(node: NodeResources) -> str:
    parts = [f"{format_cpu(node.cpu)} CPU", f"{format_memory(node.memory)} memory"]
    parts += [f"{node.gpu} GPU"] if node.gpu else []
    return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in node.resources.items())])


def _replicas(group: WorkerGroup) -> str:
    if group.min_replicas == group.max_replicas:
        return str(group.min_replicas)
    return f"{group.min_replicas} to {group.max_replicas}"


def _pairs(items: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{key}={value}" for key, value in items)
