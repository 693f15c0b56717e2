"""What is posted to a head's Jobs API to start an attempt's driver."""

import json
import math
import shlex
from collections.abc import Sequence
from typing import Any

from dartjobs.drivers.base import FinalDriverError, PackageRefusedError, Submission

HEARTBEAT_SECONDS = 5.0
"""Between two signs of life of a runner."""
STOP_MARGIN_SECONDS = 10
"""Ray kills the whole tree so long after the grace period: until then the runner has told the end."""
LARGEST_VARIABLE = 2**17 - 1
"""Linux's limit for one environment variable, with its name (MAX_ARG_STRLEN, execve(2))."""
LARGEST_PACKAGE = 100 * 2**20
"""Bytes that a head takes in one body (`DASHBOARD_CLIENT_MAX_SIZE`, ray._private.ray_constants, Ray 2.60)."""


def package_name(ref: str) -> str:
    """The name under which a head's package store keeps an uploaded package; Ray wants this form."""
    return f"_ray_pkg_{ref.removeprefix('sha256:')}.zip"


def package_uri(ref: str) -> str:
    """What `runtime_env.working_dir` calls it."""
    return f"gcs://{package_name(ref)}"


def check_package_size(size: int) -> None:
    """Refuse what no head takes.

    Raises:
        PackageRefusedError: it is too large.
    """
    if size > LARGEST_PACKAGE:
        msg = f"The package has {size} bytes, and Ray takes {LARGEST_PACKAGE}: leave large files out of the folder."
        raise PackageRefusedError(msg)


def job_request(submission: Submission, command: Sequence[str]) -> dict[str, Any]:
    """The body of `POST /api/jobs/`; `command` runs the runner on the head.

    Raises:
        FinalDriverError: the entrypoint is too long for an environment variable.
    """
    spec, attempt = submission.spec, submission.attempt
    original = spec.entrypoint if isinstance(spec.entrypoint, str) else shlex.join(spec.entrypoint)
    ours = {"dartjobs.io/job": attempt.job_id, "dartjobs.io/attempt": attempt.id, "dartjobs.io/entrypoint": original}
    return {
        "entrypoint": f"exec {shlex.join(command)}",
        "submission_id": submission.intent.submission_id,
        "runtime_env": _runtime_env(submission),
        "metadata": spec.metadata | ours,
        "entrypoint_num_cpus": 0,
    }


def _runtime_env(submission: Submission) -> dict[str, Any]:
    asked = submission.spec.runtime_env
    env: dict[str, Any] = {"env_vars": asked.env_vars | _variables(submission)}
    if asked.pip:
        env["pip"] = asked.pip
    if asked.uv:
        env["uv"] = asked.uv
    if asked.working_dir is not None:
        env["working_dir"] = package_uri(asked.working_dir)
    return env


def _variables(submission: Submission) -> dict[str, str]:
    spec, attempt = submission.spec, submission.attempt
    grace = spec.stop_grace_period.total_seconds()
    runner = {
        "attempt_id": attempt.id,
        "entrypoint": spec.entrypoint,
        "head_uid": submission.intent.head_uid,
        "grace_seconds": grace,
        "heartbeat_seconds": HEARTBEAT_SECONDS,
    }
    given = json.dumps(runner, ensure_ascii=False)
    if len(f"DARTJOBS_RUNNER={given}".encode()) > LARGEST_VARIABLE:
        msg = "The entrypoint is too long: Linux takes about 128 KiB. Put it into a script in the working directory."
        raise FinalDriverError(msg)
    return {
        "DARTJOBS_RUNNER": given,
        "DARTJOBS_JOB_ID": attempt.job_id,
        "DARTJOBS_ATTEMPT": str(attempt.number),
        "DARTJOBS_NAMESPACE": submission.namespace,
        "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(grace) + STOP_MARGIN_SECONDS),
    }
