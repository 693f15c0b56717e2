"""Metrics, as Prometheus reads them."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from dartjobs.api.auth import allow_everybody

router = APIRouter(tags=["health"], dependencies=[allow_everybody])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Of this process; attempts by state are the database's."""
    return Response(await request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
