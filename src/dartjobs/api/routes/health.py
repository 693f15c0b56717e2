"""Health, and the published schema."""

from typing import Any

from fastapi import APIRouter

from dartjobs.api.routes.common import UsesPlatform
from dartjobs.models.spec import JobSpec
from dartjobs.store.database import now

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process serves."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(platform: UsesPlatform) -> dict[str, str]:
    """The database answers; 503 while it does not."""
    await platform.database.read(now)
    return {"status": "ok"}


@router.get("/api/v1/schemas/jobspec")
async def jobspec_schema() -> dict[str, Any]:
    """The JSON Schema of a JobSpec."""
    return JobSpec.model_json_schema(by_alias=True)
