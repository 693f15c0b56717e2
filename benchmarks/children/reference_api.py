"""What there is to beat: FastAPI and SQLAlchemy's ORM as their tutorials have it, one row and one commit a request.

It is served as ours is: by the same uvicorn, loop and socket.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import JSON, String, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.children.lines import say
from dartjobs.cli.servers.serving import Server, listen, run, stop_event, until_serving


class Base(DeclarativeBase):
    """The tables."""


class JobRow(Base):
    """A job."""

    __tablename__ = "reference_jobs"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    submitted_at: Mapped[datetime]


class JobIn(BaseModel):
    """A request."""

    name: str
    entrypoint: str
    labels: dict[str, str] = {}


class JobOut(BaseModel):
    """An answer."""

    id: str
    name: str
    submitted_at: datetime


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


async def submit(job: JobIn, session: Annotated[AsyncSession, Depends(_session)]) -> JobOut:
    """Durable when it answers."""
    now = datetime.now(tz=UTC).replace(tzinfo=None)
    row = JobRow(id=str(uuid.uuid4()), name=job.name, spec=job.model_dump(), submitted_at=now)
    session.add(row)
    await session.commit()
    return JobOut(id=row.id, name=row.name, submitted_at=row.submitted_at)


def create_app(database: str) -> FastAPI:
    """The application."""
    engine = create_async_engine(database)
    if engine.dialect.name == "sqlite":
        _make_durable(engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as conn:
            await conn.run_sync(Base.metadata.create_all)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.post("/jobs", status_code=201)(submit)
    return app


def _make_durable(engine: AsyncEngine) -> None:
    """As the platform's own: WAL, and a commit waits for the disk."""

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


async def main(config: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    server = Server(create_app(config["database"]), listen("127.0.0.1", 0), drain_seconds=1)
    stop, serving = stop_event(), asyncio.create_task(server.run_on_socket())
    await until_serving([server], [serving])
    say({"api": server.url})
    await stop.wait()
    serving.cancel()


if __name__ == "__main__":
    run(main(json.loads(sys.argv[1])))
