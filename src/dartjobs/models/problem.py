"""Problems on the wire, RFC 9457, and the exceptions that carry them.

Dataclasses, which pydantic takes as they are: the command line raises and tells these without loading pydantic.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request."""

    field: str
    """Its place, such as `runtime_env.pip`."""
    detail: str


@dataclass(frozen=True)
class Problem:
    """`application/problem+json`; `code` is stable and searchable, `detail` says what to do next."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: Sequence[FieldProblem] = ()
    request_id: str | None = None

    def json(self) -> str:
        """The body of a response."""
        return json.dumps(asdict(self))


class DartJobsError(Exception):
    """Base of every error that a caller is told about."""

    code: ClassVar[str] = "internal"
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    retry_after: float | None = None
    request_id: str | None = None
    """Of the request that was answered with this, where it came over the wire."""

    def __init__(self, detail: str = "", *, errors: list[FieldProblem] | None = None) -> None:
        of_fields = "; ".join(f"{one.field}: {one.detail}" for one in (errors or [])[:5])
        super().__init__(detail or of_fields or (type(self).__doc__ or ""))
        self.detail = str(self)
        self.errors = errors or []

    def problem(self, request_id: str | None = None) -> Problem:
        """The body that says this on the wire."""
        return Problem(
            type=f"urn:dartjobs:problem:{self.code}",
            title=(type(self).__doc__ or self.code).strip().splitlines()[0],
            status=int(self.status),
            code=self.code,
            detail=self.detail,
            errors=self.errors,
            request_id=request_id,
        )


class FaultError(DartJobsError):
    """The server failed."""


class InvalidRequestError(DartJobsError):
    """The request is not valid."""

    code = "invalid-request"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NotFoundError(DartJobsError):
    """There is no such thing in this namespace."""

    code = "not-found"
    status = HTTPStatus.NOT_FOUND


class PackageNotFoundError(DartJobsError):
    """The package has not been uploaded."""

    code = "package-not-found"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class PackageMismatchError(DartJobsError):
    """The bytes do not have the hash that the request names."""

    code = "package-mismatch"
    status = HTTPStatus.BAD_REQUEST


class PackageTooLargeError(DartJobsError):
    """The package is larger than the limit."""

    code = "package-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UploadOffsetError(DartJobsError):
    """The upload stands elsewhere."""

    code = "upload-offset-mismatch"
    status = HTTPStatus.CONFLICT
    offset: int | None = None
    """Where it stands, in bytes; on the wire it is the header `Upload-Offset`."""

    @classmethod
    def at(cls, offset: int) -> Self:
        """It stands there."""
        error = cls(f"The server has the first {offset:,} bytes of this upload: go on from there.")
        error.offset = offset
        return error


class ForbiddenHostError(DartJobsError):
    """The Host or Origin header names somebody else."""

    code = "forbidden-host"
    status = HTTPStatus.FORBIDDEN


class RangeError(DartJobsError):
    """The log does not reach that far."""

    code = "range-not-satisfiable"
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class UnauthenticatedError(DartJobsError):
    """The request does not say who asks, or cannot prove it."""

    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED


class ForbiddenError(DartJobsError):
    """Who asks may not do this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN


class BodyTooLargeError(DartJobsError):
    """The request's body is too large."""

    code = "body-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaTypeError(DartJobsError):
    """The request's body is not of a type that this takes."""

    code = "unsupported-media-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class IdempotencyMismatchError(DartJobsError):
    """The Idempotency-Key was used for another request."""

    code = "idempotency-mismatch"
    status = HTTPStatus.CONFLICT


class NotFinishedError(DartJobsError):
    """The job is not over."""

    code = "not-finished"
    status = HTTPStatus.CONFLICT


class UnreadableSpecError(DartJobsError):
    """The stored specification cannot be read by this release."""

    code = "unreadable-spec"
    status = HTTPStatus.CONFLICT


class NotRunningError(DartJobsError):
    """No cluster works on the job."""

    code = "not-running"
    status = HTTPStatus.CONFLICT


class ClusterExistsError(DartJobsError):
    """The cluster is registered with other settings."""

    code = "cluster-exists"
    status = HTTPStatus.CONFLICT


class ClusterInUseError(DartJobsError):
    """Something of the cluster is alive."""

    code = "cluster-in-use"
    status = HTTPStatus.CONFLICT


class RateLimitedError(DartJobsError):
    """Too many requests in too short a time."""

    code = "rate-limited"
    status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after = 1.0


class UnavailableError(DartJobsError):
    """The service cannot answer now; try again."""

    code = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 1.0


ERRORS: dict[str, type[DartJobsError]] = {
    kind.code: kind
    for kind in (
        InvalidRequestError,
        NotFoundError,
        PackageNotFoundError,
        PackageMismatchError,
        PackageTooLargeError,
        UploadOffsetError,
        ForbiddenHostError,
        RangeError,
        UnauthenticatedError,
        ForbiddenError,
        BodyTooLargeError,
        UnsupportedMediaTypeError,
        IdempotencyMismatchError,
        NotFinishedError,
        UnreadableSpecError,
        NotRunningError,
        ClusterExistsError,
        ClusterInUseError,
        RateLimitedError,
        UnavailableError,
    )
}
"""From a code on the wire to the exception that a client raises."""


def error_of(problem: dict[str, Any]) -> DartJobsError:
    """The exception for a problem document; one with an unknown code is a plain `DartJobsError`.

    Raises:
        KeyError, TypeError: it is none.
    """
    code, detail = problem["code"], problem["detail"]
    if not isinstance(code, str) or not isinstance(detail, str):
        msg = "a problem's code and detail are texts"
        raise TypeError(msg)
    errors = [FieldProblem(str(one["field"]), str(one["detail"])) for one in problem.get("errors") or ()]
    error = ERRORS.get(code, DartJobsError)(detail, errors=errors)
    error.request_id = problem.get("request_id")
    return error
