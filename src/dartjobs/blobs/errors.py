"""What the object store's failures are called here; the library's own errors stay the cause."""

from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions as obstore

from dartjobs.models.problem import DartJobsError, UnavailableError


class BlobStoreError(UnavailableError):
    """The object store does not answer as it should; try again."""


class BlobStoreRefusedError(DartJobsError):
    """The object store refuses this, and would again: its settings or permissions must be mended."""


_FINAL = (
    obstore.InvalidPathError,
    obstore.NotSupportedError,
    obstore.PermissionDeniedError,
    obstore.UnauthenticatedError,
    obstore.UnknownConfigurationKeyError,
)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise the library's errors as ours. `action` completes "The object store could not …".

    The library's message stays in the cause alone: it may name folders and buckets of the server.

    Raises:
        BlobStoreRefusedError: trying again will not help.
        BlobStoreError: it may.
    """
    try:
        yield
    except _FINAL as error:
        msg = f"The object store refused to {action}. Its operator finds the reason in the server's log."
        raise BlobStoreRefusedError(msg) from error
    except (obstore.BaseError, OSError) as error:
        msg = f"The object store could not {action}. Try again."
        raise BlobStoreError(msg) from error
