"""The audit trail: who changed what, in the change's own transaction."""

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.tables import audit


async def record_audit(
    conn: AsyncConnection,
    at: datetime,
    actor: str,
    action: str,
    *,
    namespace: str,
    job_id: str | None,
    detail: str = "",
) -> None:
    """Record one mutation that a user asked for; one of a cluster has no namespace and no job."""
    row = {"at": at, "actor": actor, "action": action, "namespace": namespace, "job_id": job_id, "detail": detail}
    await conn.execute(insert(audit).values(row))
