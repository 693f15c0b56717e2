"""What the controller has to look at, by index; and when it has to look again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.models.state import ResourceState
from dartjobs.store.clusters import Registration, register
from dartjobs.store.database import now
from dartjobs.store.tables import attempts


async def due_ids(conn: AsyncConnection, limit: int = 1_000) -> list[str]:
    """Queued attempts that are due for a look, the longest overdue first."""
    overdue = _is_queued() & (attempts.c.due_at <= await now(conn))
    return list(await conn.scalars(select(attempts.c.id).where(overdue).order_by(attempts.c.due_at).limit(limit)))


async def set_due(conn: AsyncConnection, looks: Mapping[str, tuple[datetime | None, datetime]]) -> None:
    """Look at these again later: of each, when it was due, and when it is next.

    One that was made due in the meantime, by a stop, stays so.
    """
    if not looks:
        return
    mine = (attempts.c.id == bindparam("one")) & _is_queued() & (attempts.c.due_at == bindparam("seen"))
    rows = [{"one": one, "seen": seen, "next": until} for one, (seen, until) in looks.items()]
    await conn.execute(update(attempts).where(mine).values(due_at=bindparam("next")), rows)


async def put_off(conn: AsyncConnection, attempt_ids: Sequence[str], after: timedelta) -> None:
    """Leave these, which cannot be read, alone for so long."""
    if attempt_ids:
        mine = attempts.c.id.in_(attempt_ids) & _is_queued()
        await conn.execute(update(attempts).where(mine).values(due_at=await now(conn) + after))


async def register_cluster(conn: AsyncConnection, registration: Registration) -> None:
    """Record a cluster, or what is new about it; what was impossible may be possible now, and the other way round.

    Raises:
        RecreatedClusterError: its identity is not the one that was pinned.
    """
    await register(conn, registration)
    await make_all_due(conn)


async def make_all_due(conn: AsyncConnection) -> None:
    """Look at every queued attempt now: what clusters there are has changed."""
    await conn.execute(update(attempts).where(_is_queued()).values(due_at=await now(conn)))


def _is_queued() -> ColumnElement[bool]:
    return attempts.c.resource_state == ResourceState.QUEUED.value
