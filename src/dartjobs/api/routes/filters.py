"""The filters of a list of jobs, as query parameters."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from dartjobs.models.problem import FieldProblem, InvalidRequestError
from dartjobs.models.selector import LONGEST_SELECTOR, Requirement, SelectorError, parse_selector
from dartjobs.models.state import JobState
from dartjobs.services.jobs import JobFilter


async def _filter(
    *,
    state: Annotated[list[JobState] | None, Query(max_length=len(JobState), description="May be repeated.")] = None,
    user: Annotated[str | None, Query(max_length=255, description="Who submitted it.")] = None,
    name: Annotated[str | None, Query(max_length=63)] = None,
    cluster: Annotated[str | None, Query(max_length=63, description="Where its latest attempt is or was.")] = None,
    selector: Annotated[
        str | None,
        Query(max_length=LONGEST_SELECTOR, description="Labels, as `kubectl -l` has them: `env=prod,tier in (a,b)`."),
    ] = None,
    submitted_after: Annotated[AwareDatetime | None, Query(description="RFC 3339; inclusive.")] = None,
    submitted_before: Annotated[AwareDatetime | None, Query(description="RFC 3339; exclusive.")] = None,
    active: Annotated[bool | None, Query(description="true: not over yet; false: over.")] = None,
) -> JobFilter:
    return JobFilter(
        states=tuple(state or ()),
        user=user,
        name=name,
        cluster=cluster,
        labels=_labels(selector),
        submitted_after=submitted_after,
        submitted_before=submitted_before,
        active=active,
    )


def _labels(selector: str | None) -> tuple[Requirement, ...]:
    try:
        return parse_selector(selector or "")
    except SelectorError as error:
        raise InvalidRequestError(errors=[FieldProblem(field="selector", detail=str(error))]) from error


Filter = Annotated[JobFilter, Depends(_filter)]
