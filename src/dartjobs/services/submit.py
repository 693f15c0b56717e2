"""Submit: one job, a batch of them, or a finished one anew."""

import json
import re
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from dartjobs.bus import base as topics
from dartjobs.models.bulk import BatchItem, BatchResult
from dartjobs.models.job import Attempt, Job
from dartjobs.models.problem import (
    DartJobsError,
    FieldProblem,
    InvalidRequestError,
    NotFinishedError,
    UnreadableSpecError,
)
from dartjobs.models.reason import Reason
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import INITIAL
from dartjobs.services.absent import absent_job
from dartjobs.services.fields import field_problems
from dartjobs.services.ids import new_job_id
from dartjobs.services.platform import Platform
from dartjobs.store import attempts, jobs
from dartjobs.store.idempotency import Key, Place
from dartjobs.store.submissions import WORKING_DIR, NewJob, Recorded, Submission

_PACKAGE = re.compile(r"sha256:[0-9a-f]{64}")
JUST_NOW = "Recorded just now; no cluster has looked at it yet."


class Caller(NamedTuple):
    """Who asks, where, and under which `Idempotency-Key`, if any."""

    namespace: str
    user: str
    key: str | None = None


class Submitted(NamedTuple):
    """A job, and whether an earlier request with the same key made it."""

    job: Job
    replayed: bool


async def submit(platform: Platform, namespace: str, user: str, spec: JobSpec) -> Job:
    """Validate and record a job; it is durable when this returns.

    Raises:
        InvalidRequestError: `runtime_env.working_dir` is no package reference.
        PackageNotFoundError: that package was not uploaded.
    """
    return (await submit_once(platform, Caller(namespace, user), spec)).job


async def submit_once(platform: Platform, caller: Caller, spec: JobSpec) -> Submitted:
    """`submit`, once for each key of the caller.

    Raises:
        IdempotencyMismatchError: the key was used for another body.
    """
    _check_package(spec)
    key = None if caller.key is None else _key(caller, _given(spec))
    return await _record_one(platform, NewJob(new_job_id(), caller.namespace, caller.user, spec), key)


async def retry(platform: Platform, caller: Caller, job_id: str) -> Submitted:
    """Submit a finished job's specification again, as a new job.

    Raises:
        NotFoundError: the namespace has none of that id.
        NotFinishedError: it is not over.
        UnreadableSpecError: a newer release wrote it, or it is damaged: it would be another job.
        PackageNotFoundError: its package was swept.
    """
    job = await _stored(platform, caller.namespace, job_id)
    if job.finished_at is None:
        msg = f"Job {job_id} is {job.attempt.pair}: only one that is over is submitted again. Stop it first."
        raise NotFinishedError(msg)
    await _check_readable(platform, job)
    key = None if caller.key is None else _key(caller, {"retry": job_id})
    new = NewJob(new_job_id(), caller.namespace, caller.user, job.spec, retry_of=job_id)
    return await _record_one(platform, new, key)


async def _check_readable(platform: Platform, job: Job) -> None:
    loaded = await platform.database.read(partial(attempts.load, attempt_id=job.attempt.id))
    if loaded is not None and loaded.malformed is not None:
        msg = f"Job {job.id} cannot be submitted again by this release, which cannot read all of it: {loaded.malformed}"
        raise UnreadableSpecError(msg)


async def submit_batch(platform: Platform, caller: Caller, items: Sequence[dict[str, Any]]) -> tuple[BatchResult, bool]:
    """Submit each item on its own, all in one transaction; also whether an earlier request with the key did.

    Raises:
        IdempotencyMismatchError: the key was used for another body.
    """
    checked = [_checked(caller, item) for item in items]
    key = None if caller.key is None else _key(caller, items)
    submission = Submission([one if isinstance(one, NewJob) else None for one in checked], key)
    recorded = await platform.submissions.record(submission)
    if recorded.replayed:
        return BatchResult(items=[await _replayed(platform, caller.namespace, one) for one in recorded.job_ids]), True
    await platform.bus.publish(topics.QUEUE)
    return BatchResult.model_construct(items=[_item(one, recorded) for one in checked]), False


async def _record_one(platform: Platform, new: NewJob, key: Key | None) -> Submitted:
    recorded = await platform.submissions.record(Submission([new], key))
    if recorded.replayed:
        return Submitted(await _stored(platform, new.namespace, recorded.job_ids[0]), replayed=True)
    await platform.bus.publish(topics.QUEUE)
    return Submitted(_fresh(new, recorded), replayed=False)


async def _stored(platform: Platform, namespace: str, job_id: str) -> Job:
    job = await platform.database.read(partial(jobs.get_job, namespace=namespace, job_id=job_id))
    if job is None:
        raise absent_job(namespace, job_id)
    return job


def _checked(caller: Caller, item: dict[str, Any]) -> NewJob | DartJobsError:
    try:
        spec = JobSpec.model_validate(item)
        _check_package(spec)
    except ValidationError as error:
        return InvalidRequestError(errors=field_problems(error.errors()))
    except InvalidRequestError as error:
        return error
    return NewJob(new_job_id(), caller.namespace, caller.user, spec)


def _item(one: NewJob | DartJobsError, recorded: Recorded) -> BatchItem:
    problem = recorded.refused.get(one.id) if isinstance(one, NewJob) else one
    if isinstance(one, NewJob) and problem is None:
        return BatchItem.model_construct(job=_fresh(one, recorded), problem=None)
    return BatchItem(problem=(problem or DartJobsError()).problem())


async def _replayed(platform: Platform, namespace: str, job_id: str) -> BatchItem:
    if job_id:
        return BatchItem(job=await _stored(platform, namespace, job_id))
    msg = "The first request with this Idempotency-Key was refused this item. Submit it again under a new key."
    return BatchItem(problem=InvalidRequestError(msg).problem())


def _fresh(new: NewJob, recorded: Recorded) -> Job:
    """The job as it was just recorded, without reading it back."""
    at = recorded.at
    attempt = Attempt.model_construct(
        **_FIRST_ATTEMPT, id=jobs.attempt_id(new.id, 1), job_id=new.id, created_at=at, entered_at=at
    )
    return Job.model_construct(
        **_NEW_JOB,
        id=new.id,
        namespace=new.namespace,
        name=new.spec.name,
        user=new.user,
        spec=new.spec,
        submitted_at=at,
        retry_of=new.retry_of,
        attempt=attempt,
    )


def _defaults(model: type[BaseModel], **values: object) -> dict[str, Any]:
    """Every field that has a default: naming them saves pydantic the copying of each for each job."""
    return {name: field.default for name, field in model.model_fields.items() if not field.is_required()} | values


_FIRST_ATTEMPT = _defaults(Attempt, number=1, version=1, reason=Reason.SUBMITTED, **INITIAL._asdict())
_NEW_JOB = {name: value for name, value in _defaults(Job, why=JUST_NOW).items() if name != "retry_of"}


def _given(spec: JobSpec) -> dict[str, Any]:
    """What the request said, so that a default which a later version adds does not make it another request."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _key(caller: Caller, body: object) -> Key:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Key(Place(caller.namespace, caller.user, caller.key or ""), sha256(canonical.encode()).hexdigest())


def _check_package(spec: JobSpec) -> None:
    ref = spec.runtime_env.working_dir
    if ref is not None and not _PACKAGE.fullmatch(ref):
        detail = "must be sha256:… of an uploaded package; the client and the CLI upload a folder for you"
        raise InvalidRequestError(errors=[FieldProblem(field=WORKING_DIR, detail=detail)])
