"""Explain a job: gather what is known at one moment, and put it in words."""

from functools import partial

from dartjobs.core import explain as words
from dartjobs.core.policy import Policy
from dartjobs.models.explain import Explanation
from dartjobs.services.absent import absent_job
from dartjobs.services.platform import Platform
from dartjobs.store.surroundings import read_surroundings


async def explain(platform: Platform, namespace: str, job_id: str) -> Explanation:
    """Why a job is not running, or why it ended, and what comes next.

    Raises:
        NotFoundError: this namespace has none of that id.
    """
    found = await platform.database.read(partial(read_surroundings, namespace=namespace, job_id=job_id))
    if found is None:
        raise absent_job(namespace, job_id)
    job, around = found
    return words.explain(job, around, Policy())
