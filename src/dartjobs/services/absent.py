"""What is said of what is not there."""

from dartjobs.models.problem import NotFoundError


def absent_job(namespace: str, job_id: str) -> NotFoundError:
    """The same for a job that is nowhere and for one of another namespace."""
    return NotFoundError(f"Namespace {namespace} has no job {job_id}. `dartjobs list` shows those that it has.")


def absent_cluster(name: str) -> NotFoundError:
    """No cluster of this name was ever registered."""
    return NotFoundError(f"There is no cluster {name}.")
