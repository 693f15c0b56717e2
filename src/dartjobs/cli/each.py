"""Doing one thing to several jobs that were named: each on its own, and told on its own."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dartjobs.cli import exit_codes
from dartjobs.cli.failures import tell

if TYPE_CHECKING:
    from dartjobs.client.effects import Json


def to_each(job_ids: Sequence[str], act: "Callable[[str], Json]") -> "tuple[list[Json], int]":
    """What was answered of those for which it worked, and the exit code of the first for which it did not.

    Raises:
        ConnectionFailedError: the server is lost, so that the rest would fail alike.
    """
    from dartjobs.client.errors import ConnectionFailedError
    from dartjobs.models.problem import DartJobsError

    done, code = [], 0
    for job_id in job_ids:
        try:
            done.append(act(job_id))
        except ConnectionFailedError:
            raise
        except DartJobsError as error:
            tell(error)
            code = code or exit_codes.of_error(error)
    return done, code
