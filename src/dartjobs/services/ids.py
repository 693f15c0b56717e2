"""Ids that sort by time."""

import uuid_utils

from dartjobs.models.ids import job_id_of


def new_job_id() -> str:
    """A job's id of this moment, by this machine's clock."""
    return job_id_of(uuid_utils.uuid7().int)
