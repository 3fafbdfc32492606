"""`GET …/models` and `GET …/models/{id}`."""

from typing import Any

from fastapi import APIRouter, Request

from server.admission.callers import Caller
from server.api.callers import caller_of
from server.errors import NotFound
from server.lifecycle import Lifecycle
from server.protocol.responses import ErrorEnvelope, Model, ModelList


def models_router(lifecycle: Lifecycle) -> APIRouter:
    router = APIRouter()
    refused: dict[int | str, dict[str, Any]] = {status: {"model": ErrorEnvelope} for status in (401, 503)}

    @router.get("/models", response_model=ModelList, responses=refused)
    async def models(request: Request) -> ModelList:
        """The model, under each of its served names that the caller's plan has access to."""
        return ModelList(object="list", data=_models(caller_of(request, lifecycle)))

    @router.get("/models/{model_id:path}", response_model=Model, responses={404: {"model": ErrorEnvelope}, **refused})
    async def model(request: Request, model_id: str) -> Model:
        """One model by name."""
        for known in _models(caller_of(request, lifecycle)):
            if known.id == model_id:
                return known
        raise NotFound(f"There is no model named `{model_id[:80]}` here.")

    def _models(caller: Caller) -> list[Model]:
        loaded = lifecycle.loaded
        window = loaded.pipeline.engine.context_window
        return [
            Model(id=name, object="model", created=loaded.created, owned_by="electron-server", max_model_len=window)
            for name in loaded.limits.models
            if caller.terms.models is None or name in caller.terms.models
        ]

    return router
