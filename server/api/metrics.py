"""`GET /metrics`."""

from fastapi import APIRouter
from starlette.responses import Response

from server.telemetry.metrics import CONTENT_TYPE
from server.telemetry.page import MetricsPage


def metrics_router(page: MetricsPage) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """vLLM's series and ours, in Prometheus' text format 0.0.4 whatever the scraper asks for."""
        return Response(await page.read(), headers={"Content-Type": CONTENT_TYPE})

    return router
