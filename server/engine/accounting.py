"""vLLM's AsyncLLM that can say what a request came to, also after it was aborted."""

from typing import Any

from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.output_processor import RequestOutputCollector, RequestState

from server.records import Usage

NOTHING = Usage(0, 0, 0)


class AccountingLLM(AsyncLLM):
    """Keeps each request's state from its start to `account`.

    vLLM forgets a request as it ends or is aborted, and with it the tokens of a step that was worked out but not yet
    handed on: where callers hang up a lot, some percent of all tokens.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._states: dict[str, RequestState] = {}
        super().__init__(*args, **kwargs)

    async def add_request(self, request_id: str, *args: Any, **kwargs: Any) -> RequestOutputCollector:
        queue = await super().add_request(request_id, *args, **kwargs)
        if state := self.output_processor.request_states.get(queue.request_id):
            self._states[request_id] = state
        return queue

    def account(self, request_id: str) -> Usage:
        """The sums of a request that has ended; forgets it."""
        state = self._states.pop(request_id, None)
        if state is None or state.detokenizer is None or state.is_prefilling:
            return NOTHING
        return Usage(state.prompt_len, state.detokenizer.num_output_tokens(), state.num_cached_tokens or 0)
