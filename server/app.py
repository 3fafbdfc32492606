"""The ASGI application: routes, middleware, errors, lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from server import __version__
from server.api.admin import admin_router
from server.api.completions import completions_router
from server.api.errors import install_error_handlers
from server.api.health import health_router
from server.api.metrics import metrics_router
from server.api.middleware import RequestContext
from server.api.models import models_router
from server.api.reading import Reader
from server.api.warm import warm_router
from server.lifecycle import Lifecycle
from server.settings import Settings

PREFIXES = ("/v1", "/waves/v1")


def create_app(settings: Settings, lifecycle: Lifecycle) -> FastAPI:
    """The application around one lifecycle, which it starts and closes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        lifecycle.start()
        try:
            yield
        finally:
            await lifecycle.close()

    app = FastAPI(
        title="Electron server",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    names = settings.model.served_names
    reader = Reader(lifecycle, settings.http)
    for prefix in PREFIXES:
        app.include_router(
            completions_router(lifecycle, reader, settings.http, names), prefix=prefix, tags=["completions"]
        )
        app.include_router(warm_router(lifecycle, reader, settings.http, names), prefix=prefix, tags=["completions"])
        app.include_router(models_router(lifecycle), prefix=prefix, tags=["models"])
    app.include_router(admin_router(lifecycle), tags=["operation"])
    app.include_router(health_router(lifecycle), tags=["operation"])
    app.include_router(metrics_router(lifecycle.desk.page), tags=["operation"])
    install_error_handlers(app, lifecycle.desk.metrics.refused)
    app.add_middleware(
        RequestContext,
        observe=lifecycle.desk.metrics.refused,
        ending=lambda: lifecycle.ending,
        rate_limits=lifecycle.gate.rate_limits,
    )
    return app


def _operation_id(route: APIRoute) -> str:
    return f"{'_'.join(sorted(route.methods))}{route.path}".lower().replace("/", "_")
