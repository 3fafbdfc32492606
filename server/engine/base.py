"""What the rest of the house asks of an engine."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

from server.records import Delta, Prompt, Usage

Settle = Callable[[Usage], None]
Urgent = Callable[[], bool]


def never() -> bool:
    """Nothing is urgent."""
    return False


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A moment of the scheduler. `kv_cache_usage` from 0 to 1.

    steps: of the scheduler, since it began. unfinished: requests that it was given and has not ended. Both as all
    processes have seen them together; of the rest each knows what the scheduler told it at `reported_at`, monotonic.
    """

    running: int
    waiting: int
    kv_cache_usage: float
    steps: int
    unfinished: int
    reported_at: float = 0.0


class Engine(Protocol):
    """A loaded model that continues prompts."""

    @property
    def context_window(self) -> int:
        """Most tokens that prompt and output may have together."""

    @property
    def vocab_size(self) -> int:
        """Token ids are below this."""

    def generate(
        self, prompt: Prompt, request_id: str, settle: Settle, urgent: Urgent = never
    ) -> AsyncGenerator[Delta, None]:
        """Continue a prompt. Closing the generator stops the work and frees its KV blocks.

        settle: called once, when the work has ended, with what it came to: after an abort there may be tokens that no
            delta reported.
        urgent: asked at every step: its tokens must not wait a few milliseconds to be handed on with later ones, as
            under load they may. The first never do.

        Raises:
            InvalidRequest: the engine refuses this request.
            EngineFailed: the engine died, or gave up on this request.
        """

    def stats(self) -> EngineStats:
        """The latest figures that the scheduler reported."""

    async def check(self) -> None:
        """Raises EngineFailed when the engine is dead."""

    def kill(self) -> None:
        """End the engine's processes at once, also where they hang. What is at work fails."""

    async def close(self) -> None:
        """Stop the engine and its processes."""
