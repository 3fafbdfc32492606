"""The engine's life and end."""

from pydantic import Field

from server.settings.base import Section


class LifecycleSettings(Section):
    """Watching the engine, and the end. Times in seconds."""

    stall_window: float = Field(
        120.0, gt=0, description="Without a step of the engine while it has work: then it counts as dead."
    )
    restarts: int = Field(
        0, ge=0, description="How often a dead engine is replaced in place; after that the process ends with status 1."
    )
    drain_pause: float = Field(
        2.0, ge=0, description="After SIGTERM: how long to keep answering 503, until gateways have seen it."
    )
    drain_timeout: float = Field(30.0, ge=0, description="After SIGTERM: until running requests must have ended.")
