"""Idempotency keys: what the first request with a key led to, recorded in its own transaction.

Two requests with one key at the same moment cannot both record it: the second one's insert waits for the first one's
commit and then breaks the primary key, its whole transaction is tried again, and finds the first one's jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from dartjobs.store.tables import idempotency

_AT_ONCE = 500
"""Keys in one statement."""


class Place(NamedTuple):
    """The scope of a key, and the key."""

    namespace: str
    user: str
    key: str


@dataclass(frozen=True, slots=True)
class Key:
    """A request's key, with the hash of its body."""

    place: Place
    body_hash: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a key led to."""

    body_hash: str
    job_ids: Sequence[str]
    fresh: bool = False
    """It is to be recorded."""


async def find(conn: AsyncConnection, keys: Sequence[Key]) -> dict[Place, Kept]:
    """What is recorded of these keys."""
    found: dict[Place, Kept] = {}
    c = idempotency.c
    places = sorted({key.place for key in keys})
    for start in range(0, len(places), _AT_ONCE):
        mine = tuple_(c.namespace, c.user, c.key).in_(places[start : start + _AT_ONCE])
        for row in await conn.execute(select(idempotency).where(mine)):
            found[Place(row.namespace, row.user, row.key)] = Kept(row.body_hash, row.job_ids)
    return found


async def keep(conn: AsyncConnection, kept: Mapping[Place, Kept], at: datetime) -> None:
    """Record what new keys led to, in the order of the keys, so that two transactions do not wait for each other."""
    rows = [
        {**place._asdict(), "body_hash": one.body_hash, "job_ids": list(one.job_ids), "at": at}
        for place, one in sorted(kept.items())
    ]
    if rows:
        await conn.execute(insert(idempotency), rows)


async def forget_before(conn: AsyncConnection, moment: datetime, *, limit: int = 1_000) -> int:
    """Forget the oldest keys of before `moment`, at most `limit`; answers how many."""
    c = idempotency.c
    old = (
        await conn.execute(select(c.namespace, c.user, c.key).where(c.at < moment).order_by(c.at).limit(limit))
    ).all()
    for row in old:
        mine = and_(c.namespace == row.namespace, c.user == row.user, c.key == row.key)
        await conn.execute(delete(idempotency).where(mine))
    return len(old)
