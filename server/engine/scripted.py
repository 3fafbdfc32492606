"""A double of the engine for tests of the other rooms: it says what it was told to say, one token at a time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from server.engine.base import EngineStats, Settle, Urgent, never
from server.errors import EngineFailed, ServerError
from server.records import Delta, Prompt, Usage

Script = Callable[[Prompt], Sequence[str | ServerError]]


class ScriptedEngine:
    """Each element of a script is the text of one token, or an error to raise at that point.

    `started` and `running` let a test see who is at work; `gate`, where set, must be open for every token.
    """

    def __init__(self, script: Script, *, context_window: int = 32_768, vocab_size: int = 512) -> None:
        self.context_window = context_window
        self.vocab_size = vocab_size
        self.gate = asyncio.Event()
        self.gate.set()
        self.prompts: list[Prompt] = []
        self.running = 0
        self.steps = 0
        self.dead = False
        self.closed = False
        self._script = script

    async def generate(
        self, prompt: Prompt, request_id: str, settle: Settle, urgent: Urgent = never
    ) -> AsyncGenerator[Delta, None]:
        self.prompts.append(prompt)
        self.running += 1
        generated = 0
        try:
            tokens = self._script(prompt)[: prompt.sampling.max_tokens]
            for position, token in enumerate(tokens):
                await self.gate.wait()
                self.steps += 1
                if isinstance(token, ServerError):
                    raise token
                generated += 1
                cut = position + 1 == prompt.sampling.max_tokens
                yield Delta(token, (position,), len(prompt.token_ids), 0, finish_reason="length" if cut else None)
                if cut:
                    return
            generated += 1
            yield Delta("", (0,), len(prompt.token_ids), 0, finish_reason="stop")
        finally:
            self.running -= 1
            settle(Usage(len(prompt.token_ids), generated, 0))

    def stats(self) -> EngineStats:
        return EngineStats(self.running, 0, 0.0, self.steps, self.running)

    async def check(self) -> None:
        if self.dead:
            raise EngineFailed("It died.")

    def kill(self) -> None:
        self.dead = True

    async def close(self) -> None:
        self.closed = True
