"""`GET /metrics`."""

from fastapi import APIRouter
from prometheus_client import REGISTRY
from starlette.responses import Response

from server.telemetry.metrics import CONTENT_TYPE, render


def metrics_router() -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """vLLM's series and ours, in Prometheus' text format 0.0.4 whatever the scraper asks for."""
        return Response(render(REGISTRY), headers={"Content-Type": CONTENT_TYPE})

    return router
