"""What is fixed for an installation: its id and its secret."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.tables import meta


async def get_or_set(conn: AsyncConnection, name: str, fresh: str) -> str:
    """The stored value; `fresh` is stored where there is none yet."""
    value = await conn.scalar(select(meta.c.value).where(meta.c.name == name))
    if value is not None:
        return str(value)
    await conn.execute(insert(meta).values(name=name, value=fresh))
    return fresh
