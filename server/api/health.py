"""Probes. They need no key, touch nothing outside the process and say why when they say no."""

from typing import Any

from fastapi import APIRouter

from server.lifecycle import Lifecycle
from server.protocol.responses import ErrorEnvelope


def health_router(lifecycle: Lifecycle) -> APIRouter:
    router = APIRouter()
    refused: dict[int | str, dict[str, Any]] = {503: {"model": ErrorEnvelope}}

    @router.get("/livez", responses={502: {"model": ErrorEnvelope}})
    async def livez() -> dict[str, str]:
        """200 unless the engine is dead or hangs."""
        lifecycle.check_alive()
        return {"status": "alive"}

    @router.get("/readyz", responses={502: {"model": ErrorEnvelope}, **refused})
    @router.get("/health", responses={502: {"model": ErrorEnvelope}, **refused})
    async def readyz() -> dict[str, str]:
        """200 when a request would be answered now; else the reason."""
        lifecycle.check_alive()
        _ = lifecycle.loaded
        return {"status": "ready"}

    return router
