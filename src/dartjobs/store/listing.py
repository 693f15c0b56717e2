"""Lists of jobs, led by an index whatever the filter.

A list is read in the order of ids, newest first, from one index that holds the filter's narrowest part and the id;
the rest of the filter is asked of each of its rows by primary key. So a page costs what it shows, not what is stored.
Several states, or several values of a label, are a limited sub-select each, united.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import Subquery

from dartjobs.models.ids import first_id_at
from dartjobs.models.job import Job
from dartjobs.models.selector import Operator, Requirement
from dartjobs.models.state import FINAL, JobState
from dartjobs.store.jobs import job_of_joined, latest_attempts
from dartjobs.store.tables import attempts, job_labels, jobs

_CLOCKS = timedelta(hours=1)
"""An id's time is of the clock of the API server that made it, `submitted_at` of the database's: they differ less."""
ACTIVE = frozenset(JobState) - FINAL


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; nothing given means all of the namespace."""

    states: Collection[JobState] = ()
    user: str | None = None
    name: str | None = None
    cluster: str | None = None
    """The latest attempt's."""
    labels: Sequence[Requirement] = ()
    submitted_after: datetime | None = None
    """Inclusive."""
    submitted_before: datetime | None = None
    """Exclusive."""
    active: bool | None = None
    """True: only those that are not over; False: only those that are."""

    @property
    def is_empty(self) -> bool:
        """Whether it leaves nothing out."""
        return self == JobFilter()

    def wanted_states(self) -> frozenset[JobState]:
        """The states that it lets pass, of the latest attempt. A job is over when that attempt is."""
        states = frozenset(self.states) or frozenset(JobState)
        if self.active is None:
            return states
        return states & (ACTIVE if self.active else FINAL)


async def list_jobs(
    conn: AsyncConnection, namespace: str, wanted: JobFilter, *, limit: int, before: str | None = None
) -> list[Job]:
    """The newest jobs that match, older than the id `before`; one more than `limit` where there are more."""
    page = _page(namespace, wanted, limit + 1, before)
    if page is None:
        return []
    statement = latest_attempts().join(page, page.c.job_id == jobs.c.id).order_by(jobs.c.id.desc())
    return [job_of_joined(row) for row in await conn.execute(statement)]


async def list_ids(
    conn: AsyncConnection, namespace: str, wanted: JobFilter, *, limit: int, before: str | None = None
) -> list[str]:
    """The ids that `list_jobs` would show."""
    page = _page(namespace, wanted, limit + 1, before)
    if page is None:
        return []
    return list(await conn.scalars(select(page.c.job_id).order_by(page.c.job_id.desc())))


def _page(namespace: str, wanted: JobFilter, limit: int, before: str | None) -> Subquery | None:
    """The ids of a page, or None where nothing can match."""
    leads = _leads(namespace, wanted)
    limited = [
        _bounded(lead.statement, lead.id, wanted, before).order_by(lead.id.desc()).limit(limit) for lead in leads
    ]
    if not limited:
        return None
    if len(limited) == 1:
        return limited[0].subquery("page")
    united = union_all(*(select(one.subquery().c.job_id) for one in limited)).subquery()
    return select(united.c.job_id).order_by(united.c.job_id.desc()).limit(limit).subquery("page")


@dataclass(frozen=True, slots=True)
class _Lead:
    """A read of one index in the order of its ids."""

    statement: Select[Any]
    id: ColumnElement[str]


def _leads(namespace: str, wanted: JobFilter) -> list[_Lead]:
    """The reads whose union is the list: of the narrowest index that the filter allows.

    Active states come first, since few jobs are in them; then what people choose for themselves; then the rest.
    """
    states = wanted.wanted_states()
    narrow = next((one for one in wanted.labels if one.operator is Operator.IN), None)
    if states <= ACTIVE:
        return [_of_attempts(namespace, wanted, attempts.c.job_state == state.value) for state in sorted(states)]
    if narrow is not None:
        return [_of_labels(namespace, wanted, narrow, value) for value in narrow.values]
    if wanted.name is not None or wanted.user is not None:
        return [_of_jobs(namespace, wanted)]
    if wanted.cluster is not None:
        return [_of_attempts(namespace, wanted, attempts.c.cluster == wanted.cluster)]
    if states != frozenset(JobState):
        return [_of_attempts(namespace, wanted, attempts.c.job_state == state.value) for state in sorted(states)]
    present = next((one for one in wanted.labels if one.operator is Operator.EXISTS), None)
    return [_of_jobs(namespace, wanted) if present is None else _of_labels(namespace, wanted, present, None)]


def _of_jobs(namespace: str, wanted: JobFilter) -> _Lead:
    statement = select(jobs.c.id.label("job_id")).where(jobs.c.namespace == namespace, *_on_job(wanted))
    on_attempt = _on_attempt(wanted)
    if on_attempt:
        statement = statement.where(_latest_matches(on_attempt))
    return _Lead(statement.where(*_on_labels(jobs.c.id, wanted.labels)), jobs.c.id)


def _of_attempts(namespace: str, wanted: JobFilter, leading: ColumnElement[bool]) -> _Lead:
    of_job = exists().where(jobs.c.id == attempts.c.job_id, jobs.c.latest == attempts.c.number, *_on_job(wanted))
    statement = select(attempts.c.job_id).where(attempts.c.namespace == namespace, leading, *_on_attempt(wanted))
    return _Lead(statement.where(of_job, *_on_labels(attempts.c.job_id, wanted.labels)), attempts.c.job_id)


def _of_labels(namespace: str, wanted: JobFilter, leading: Requirement, value: str | None) -> _Lead:
    mine = job_labels.alias("leading_label")
    statement = select(mine.c.job_id).where(mine.c.namespace == namespace, mine.c.key == leading.key)
    if value is not None:
        statement = statement.where(mine.c.value == value)
    on_job, on_attempt = _on_job(wanted), _on_attempt(wanted)
    if on_attempt:
        on_job = [*on_job, _latest_matches(on_attempt)]
    if on_job:
        statement = statement.where(exists().where(jobs.c.id == mine.c.job_id, *on_job))
    rest = [one for one in wanted.labels if one is not leading]
    return _Lead(statement.where(*_on_labels(mine.c.job_id, rest)), mine.c.job_id)


def _latest_matches(on_attempt: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    return exists().where(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.latest, *on_attempt)


def _on_job(wanted: JobFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.name is not None:
        found.append(jobs.c.name == wanted.name)
    if wanted.user is not None:
        found.append(jobs.c.user == wanted.user)
    if wanted.submitted_after is not None:
        found.append(jobs.c.submitted_at >= wanted.submitted_after)
    if wanted.submitted_before is not None:
        found.append(jobs.c.submitted_at < wanted.submitted_before)
    return found


def _on_attempt(wanted: JobFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    states = wanted.wanted_states()
    if states != frozenset(JobState):
        found.append(attempts.c.job_state.in_(sorted(state.value for state in states)))
    if wanted.cluster is not None:
        found.append(attempts.c.cluster == wanted.cluster)
    return found


def _on_labels(job_id: ColumnElement[str], labels: Sequence[Requirement]) -> list[ColumnElement[bool]]:
    return [_on_label(job_id, one) for one in labels]


def _on_label(job_id: ColumnElement[str], one: Requirement) -> ColumnElement[bool]:
    label = job_labels.alias()
    has = exists(literal(1)).select_from(label).where(label.c.job_id == job_id, label.c.key == one.key)
    match one.operator:
        case Operator.IN:
            return has.where(label.c.value.in_(one.values))
        case Operator.NOT_IN:
            return ~has.where(label.c.value.in_(one.values))
        case Operator.EXISTS:
            return has
        case Operator.ABSENT:
            return ~has


def _bounded(statement: Select[Any], job_id: ColumnElement[str], wanted: JobFilter, before: str | None) -> Select[Any]:
    """Between two ids: those of the cursor and of the times of submission."""
    if before is not None:
        statement = statement.where(job_id < before)
    if wanted.submitted_before is not None:
        statement = statement.where(job_id < first_id_at(wanted.submitted_before, later=_CLOCKS))
    if wanted.submitted_after is not None:
        statement = statement.where(job_id >= first_id_at(wanted.submitted_after, later=-_CLOCKS))
    return statement
