"""Lists of jobs, led by an index whatever the filter.

A list is read in the order of ids, newest first, from one index that holds the filter's narrowest part and the id;
the rest of the filter is joined to each of its rows by primary key. So a page costs what it shows, not what is stored.
Several states, or several values of a label, are a limited sub-select each, united.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select, union_all
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
_IS_LATEST = (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.latest)


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
        return [_of_attempts(namespace, wanted, "job_state", state.value) for state in sorted(states)]
    if narrow is not None:
        return [_of_labels(namespace, wanted, narrow, value) for value in narrow.values]
    if wanted.name is not None or wanted.user is not None:
        return [_of_jobs(namespace, wanted)]
    if wanted.cluster is not None:
        return [_of_attempts(namespace, wanted, "cluster", wanted.cluster)]
    if states != frozenset(JobState):
        return [_of_attempts(namespace, wanted, "job_state", state.value) for state in sorted(states)]
    present = next((one for one in wanted.labels if one.operator is Operator.EXISTS), None)
    return [_of_jobs(namespace, wanted) if present is None else _of_labels(namespace, wanted, present, None)]


def _of_jobs(namespace: str, wanted: JobFilter) -> _Lead:
    column = "name" if wanted.name is not None else "user" if wanted.user is not None else None
    index = "ix_jobs_namespace_id" if column is None else f"ix_jobs_namespace_{column}_id"
    statement = _led_by(jobs, index, select(jobs.c.id.label("job_id")))
    statement = statement.where(jobs.c.namespace == namespace, *_on_job(wanted))
    on_attempt = _on_attempt(wanted)
    if on_attempt:
        statement = statement.join(attempts, _IS_LATEST).where(*on_attempt)
    return _Lead(_with_labels(statement, jobs.c.id, wanted.labels), jobs.c.id)


def _of_attempts(namespace: str, wanted: JobFilter, column: str, value: str) -> _Lead:
    statement = _led_by(attempts, f"ix_attempts_namespace_{column}_job_id", select(attempts.c.job_id))
    leading = (attempts.c.namespace == namespace) & (attempts.c[column] == value)
    statement = statement.join(jobs, _IS_LATEST).where(leading, *_on_attempt(wanted), *_on_job(wanted))
    return _Lead(_with_labels(statement, attempts.c.job_id, wanted.labels), attempts.c.job_id)


def _of_labels(namespace: str, wanted: JobFilter, leading: Requirement, value: str | None) -> _Lead:
    mine = job_labels.alias("leading_label")
    index = "ix_job_labels_namespace_key_job_id" if value is None else "ix_job_labels_namespace_key_value_job_id"
    statement = _led_by(mine, index, select(mine.c.job_id))
    statement = statement.where(mine.c.namespace == namespace, mine.c.key == leading.key)
    if value is not None:
        statement = statement.where(mine.c.value == value)
    on_job, on_attempt = _on_job(wanted), _on_attempt(wanted)
    if on_job or on_attempt:
        statement = statement.join(jobs, jobs.c.id == mine.c.job_id).where(*on_job)
    if on_attempt:
        statement = statement.join(attempts, _IS_LATEST).where(*on_attempt)
    rest = [one for one in wanted.labels if one is not leading]
    return _Lead(_with_labels(statement, mine.c.job_id, rest), mine.c.job_id)


def _led_by(table: FromClause, index: str, statement: Select[Any]) -> Select[Any]:
    """Read this index, and join in the order that is written.

    Dialect note: left alone, MySQL sorts another index. MariaDB makes whole tables of subqueries: there are none.
    """
    for dialect in ("mysql", "mariadb"):
        statement = statement.prefix_with("STRAIGHT_JOIN", dialect=dialect)
        statement = statement.with_hint(table, f"FORCE INDEX ({index})", dialect)
    return statement


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


def _with_labels(statement: Select[Any], job_id: ColumnElement[str], labels: Sequence[Requirement]) -> Select[Any]:
    """Ask each label by primary key."""
    for one in labels:
        label = job_labels.alias()
        mine = (label.c.job_id == job_id) & (label.c.key == one.key)
        if one.operator in {Operator.IN, Operator.NOT_IN}:
            mine &= label.c.value.in_(one.values)
        if one.operator in {Operator.IN, Operator.EXISTS}:
            statement = statement.join(label, mine)
        else:
            statement = statement.outerjoin(label, mine).where(label.c.job_id.is_(None))
    return statement


def _bounded(statement: Select[Any], job_id: ColumnElement[str], wanted: JobFilter, before: str | None) -> Select[Any]:
    """Between two ids: those of the cursor and of the times of submission."""
    if before is not None:
        statement = statement.where(job_id < before)
    if wanted.submitted_before is not None:
        statement = statement.where(job_id < first_id_at(wanted.submitted_before, later=_CLOCKS))
    if wanted.submitted_after is not None:
        statement = statement.where(job_id >= first_id_at(wanted.submitted_after, later=-_CLOCKS))
    return statement
