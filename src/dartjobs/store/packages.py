"""Packages: which generation of each is stored, and since when nobody has used it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.database import now
from dartjobs.store.tables import jobs, packages

_Text = str | Column[Any]
USE_IS_NOTED = timedelta(hours=1)
"""`used_at` may lag by this: of a thousand submissions of one package, one writes its row."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A package that may be used."""

    namespace: str
    ref: str
    gen: str
    size: int
    """Bytes."""


async def get(conn: AsyncConnection, namespace: str, ref: str) -> Recorded | None:
    """What is stored under the reference; None where nothing is, or it is being swept."""
    row = (await conn.execute(select(packages).where(_is(namespace, ref), packages.c.deleting == 0))).first()
    return None if row is None else Recorded(row.namespace, row.ref, row.gen, row.size)


async def touch(conn: AsyncConnection, namespace: str, ref: str) -> bool:
    """Use the package in this transaction: until it is over no sweep can begin to take it away. False: it is absent.

    Call it before the job's rows are written. Its lock is shared, so that submissions do not wait for each other.
    """
    wanted = select(packages.c.used_at).where(_is(namespace, ref), packages.c.deleting == 0).with_for_update(read=True)
    used_at = await conn.scalar(wanted)
    if used_at is None:
        return False
    at = await now(conn)
    if at - used_at >= USE_IS_NOTED:
        await conn.execute(update(packages).where(_is(namespace, ref)).values(used_at=at))
    return True


async def record(conn: AsyncConnection, new: Recorded) -> Recorded:
    """Let everybody see a package whose object is complete. Answers what counts: another's, where that came first."""
    row = (await conn.execute(select(packages).where(_is(new.namespace, new.ref)).with_for_update())).first()
    if row is not None and not row.deleting:
        return Recorded(row.namespace, row.ref, row.gen, row.size)
    at = await now(conn)
    values = {"gen": new.gen, "size": new.size, "stored_at": at, "used_at": at, "deleting": 0}
    if row is None:
        await conn.execute(insert(packages).values(namespace=new.namespace, ref=new.ref, **values))
    else:
        await conn.execute(update(packages).where(_is(new.namespace, new.ref)).values(values))
    return new


async def unused(conn: AsyncConnection, before: datetime, limit: int = 1_000) -> list[Recorded]:
    """Packages last used before that time that no unfinished job needs, and those that a sweep did not finish with."""
    swept = (packages.c.used_at < before) & ~exists(_needs(packages.c.namespace, packages.c.ref))
    statement = select(packages).where(swept | (packages.c.deleting == 1)).order_by(packages.c.used_at).limit(limit)
    return [Recorded(row.namespace, row.ref, row.gen, row.size) for row in await conn.execute(statement)]


async def mark_deleting(conn: AsyncConnection, one: Recorded, before: datetime) -> bool:
    """Let nobody use the package from now on, if that may be; only then may its object be deleted.

    Its row is locked before jobs are looked for: a submission that touched it has committed its job, or finds it gone.
    """
    this = _is(one.namespace, one.ref) & (packages.c.gen == one.gen)
    row = (await conn.execute(select(packages).where(this).with_for_update())).first()
    if row is None:
        return False
    if row.deleting:
        return True
    if row.used_at >= before or await conn.scalar(_needs(one.namespace, one.ref).limit(1)) is not None:
        return False
    await conn.execute(update(packages).where(this).values(deleting=1))
    return True


async def forget(conn: AsyncConnection, one: Recorded) -> None:
    """The object of this generation is gone. One that was stored since stays."""
    this = _is(one.namespace, one.ref) & (packages.c.gen == one.gen)
    await conn.execute(delete(packages).where(this))


async def generation(conn: AsyncConnection, namespace: str, ref: str) -> str | None:
    """The generation that the package's row names, being swept or not."""
    return await conn.scalar(select(packages.c.gen).where(_is(namespace, ref)))


def _is(namespace: str, ref: str) -> ColumnElement[bool]:
    return (packages.c.namespace == namespace) & (packages.c.ref == ref)


def _needs(namespace: _Text, ref: _Text) -> Select[Any]:
    """The unfinished jobs that need it."""
    return select(jobs.c.id).where(jobs.c.namespace == namespace, jobs.c.package == ref, jobs.c.finished_at.is_(None))
