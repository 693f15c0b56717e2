"""A job and its history, for people."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from dartjobs.cli.output import ran_for
from dartjobs.cli.tables import table
from dartjobs.cli.text import clean, coloured_state
from dartjobs.cli.times import moment, parsed, short, stamp
from dartjobs.client.effects import Json
from dartjobs.models.reason import FACTS, Reason
from dartjobs.models.state import FINAL

_HISTORY = ("AT", "ATTEMPT", "STATE", "FOR", "REASON", "MESSAGE", "ACTOR")
_ATTEMPTS = ("ATTEMPT", "STATE", "REASON", "CLUSTER", "CREATED", "STARTED", "RAN", "EXIT", "MESSAGE")


def describe(job: Json, now: datetime) -> str:
    """Everything of a job that its user asks about, a line each; what is not set is left out."""
    return facts(_facts(job, now))


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A line each, aligned; those without a value are left out, a state is coloured."""
    rows = [(label, clean(text)) for label, text in pairs if text]
    width = max((len(label) for label, _ in rows), default=0)
    shown = [(label, coloured_state(text) if label == "State" else text) for label, text in rows]
    return "\n".join(f"{label.ljust(width)}  {text}" for label, text in shown)


def history(transitions: Sequence[Json], now: datetime) -> str:
    """The moves of every attempt, oldest first, with the time spent in each state."""
    return table(_HISTORY, [_move(transitions, index, now) for index in range(len(transitions))])


def attempts(items: Sequence[Json], now: datetime) -> str:
    """A line for each attempt."""
    return table(_ATTEMPTS, [_attempt(one, now) for one in items])


def explanation(found: Json, now: datetime) -> str:
    """Why a job is where it is, and what comes next."""
    head = facts(
        [
            ("Summary", found["summary"]),
            ("State", found["job_state"]),
            ("Resources", found["resource_state"]),
            ("Since", moment(found["since"], now)),
            ("Reason", f"{found['reason']}: {meaning(found['reason'])}"),
            ("Message", found.get("message", "")),
            ("Position", "" if found.get("position") is None else f"{found['position']} in the queue"),
            ("Unseen", moment(found.get("unreachable_since"), now)),
            ("Next", found.get("next", "")),
            ("Advice", found.get("advice", "").replace(" JOB", f" {found['job_id']}")),
        ]
    )
    clusters = [(one["name"], "yes" if one["fits"] else "no", one["detail"]) for one in found.get("clusters", [])]
    return f"{head}\n\n{table(('CLUSTER', 'FITS', 'WHY'), clusters)}" if clusters else head


def outcome(job: Json) -> str:
    """What became of a finished job, in a line."""
    attempt = job["attempt"]
    if attempt["job_state"] == "SUCCEEDED":
        return f"{job['id']} SUCCEEDED"
    code = "" if attempt["exit_code"] is None else f", exit code {attempt['exit_code']}"
    text = clean(attempt["message"]) or meaning(attempt["reason"])
    sentence = text if text.endswith((".", "!", "?")) else f"{text}."
    return clean(f"{job['id']} {attempt['job_state']}, {attempt['reason']}{code}: {sentence} {advice(attempt)}")


def advice(attempt: Json) -> str:
    """What to do next, with the job's id in its commands."""
    said: str = attempt.get("advice", "")
    return said.replace(" JOB", f" {attempt['job_id']}")


def meaning(reason: str) -> str:
    """What a reason means; one of a newer server speaks for itself."""
    return FACTS[Reason(reason)].meaning if reason in Reason.__members__ else reason.lower().replace("_", " ")


def _facts(job: Json, now: datetime) -> Iterator[tuple[str, str]]:
    attempt, stop = job["attempt"], job["stop"]
    category = f" ({attempt['category']})" if attempt["category"] else ""
    yield "ID", job["id"]
    yield "Name", job["name"]
    yield "Namespace", job["namespace"]
    yield "User", job["user"]
    yield "State", attempt["job_state"]
    yield "Resources", attempt["resource_state"]
    yield "Reason", f"{attempt['reason']}{category}: {meaning(attempt['reason'])}"
    yield "Message", attempt["message"]
    yield "Why", job["why"]
    yield "Advice", advice(attempt)
    yield "Exit code", "" if attempt["exit_code"] is None else str(attempt["exit_code"])
    yield "Signal", attempt["signal"] or ""
    yield "Stop", f"asked for by {stop['by']}, {stamp(parsed(stop['at']))} {stop['reason']}" if stop else ""
    yield "Retry of", job.get("retry_of") or ""
    yield "Cluster", attempt["cluster"] or ""
    yield "Attempt", str(attempt["number"])
    yield "Submitted", moment(job["submitted_at"], now)
    yield "Not before", moment(attempt["not_before"], now)
    yield "Started", moment(attempt["driver_started_at"], now)
    yield "Finished", moment(job["finished_at"], now)
    yield "Duration", ran_for(job, now)
    yield from _facts_of_spec(job["spec"])


def _facts_of_spec(spec: Json) -> Iterator[tuple[str, str]]:
    env, entrypoint = spec["runtime_env"], spec["entrypoint"]
    yield "Entrypoint", entrypoint if isinstance(entrypoint, str) else shlex.join(entrypoint)
    yield "Working dir", env["working_dir"] or ""
    yield "pip", " ".join(env["pip"])
    yield "uv", " ".join(env["uv"])
    yield "Head", _node(spec["head"])
    for group in spec["workers"]:
        yield "Workers", f"{group['name']}: {_replicas(group)} of {_node(group)}"
    yield "Timeout", spec["timeouts"]["job"] or ""
    yield "Priority", str(spec["priority"] or "")
    yield "Selector", _pairs(spec["cluster_selector"])
    yield "Labels", _pairs(spec["labels"])
    yield "Annotations", _pairs(spec["annotations"])


def _move(transitions: Sequence[Json], index: int, now: datetime) -> tuple[str, ...]:
    one = transitions[index]
    later = (parsed(other["at"]) for other in transitions[index + 1 :] if other["attempt"] == one["attempt"])
    is_end = one["job_state"] in FINAL and one["resource_state"] == "TERMINATED"
    until = next(later, None if is_end else now)
    return (
        stamp(parsed(one["at"])),
        str(one["attempt"]),
        f"{one['resource_state']}, {one['job_state']}",
        "" if until is None else short(until - parsed(one["at"])),
        one["reason"],
        one["message"],
        one["actor"],
    )


def _attempt(one: Json, now: datetime) -> tuple[str, ...]:
    started = one["driver_started_at"]
    return (
        str(one["number"]),
        f"{one['resource_state']}, {one['job_state']}",
        one["reason"],
        one["cluster"] or "",
        stamp(parsed(one["created_at"])),
        "" if started is None else stamp(parsed(started)),
        ran_for({"attempt": one}, now),
        "" if one["exit_code"] is None else str(one["exit_code"]),
        one["message"],
    )


def _node(node: Json) -> str:
    parts = [f"{node['cpu']} CPU", f"{node['memory']} memory"]
    parts += [f"{node['gpu']} GPU"] if node["gpu"] else []
    return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in node["resources"].items())])


def _replicas(group: Json) -> str:
    if group["min_replicas"] == group["max_replicas"]:
        return str(group["min_replicas"])
    return f"{group['min_replicas']} to {group['max_replicas']}"


def _pairs(items: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in items.items())
