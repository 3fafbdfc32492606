"""One answer on its way from the engine core to whoever awaits it."""

import asyncio
from typing import NamedTuple

from vllm.logprobs import Logprob
from vllm.outputs import PoolingRequestOutput, RequestOutput
from vllm.v1.engine import EngineCoreOutput, FinishReason
from vllm.v1.engine.detokenizer import IncrementalDetokenizer
from vllm.v1.engine.logprobs import LogprobsProcessor

from server.engine.base import Urgent, never
from server.records import Usage

NOTHING = Usage(0, 0, 0)

Logprobs = list[dict[int, Logprob]]


class Piece(NamedTuple):
    """What one or more steps added. stop_reason: the token or the string that ended the answer."""

    text: str
    token_ids: list[int]
    logprobs: Logprobs | None
    finish_reason: str | None
    stop_reason: int | str | None


class GaveUp(Exception):
    """The request was aborted, not by whoever takes it."""


class Stream:
    """Gathers what the steps of the engine bring, as token ids; text is made of it when it is taken.

    So a token costs little more than its place in a list, and tokens that are taken together are read and written
    together. The exception are stop strings, which have to be looked for at once.

    urgent: asked at every step whether its tokens must not wait.
    """

    def __init__(self, prompt_tokens: int, detokenizer: IncrementalDetokenizer, logprobs: LogprobsProcessor) -> None:
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = 0
        self.generated = 0
        self.urgent: Urgent = never
        self.held = False  # awaits the others
        self._detokenizer = detokenizer
        self._logprobs = logprobs
        self._stops = bool(getattr(detokenizer, "stop", None))
        self._outputs: list[EngineCoreOutput] = []
        self._pieces: list[Piece] = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usage(self) -> Usage:
        """What it has come to, tokens that nobody has taken included."""
        return Usage(self.prompt_tokens, self.generated, self.cached_tokens) if self.generated else NOTHING

    def add(self, output: EngineCoreOutput) -> FinishReason | None:
        """One step. Returns why the answer has ended, if it has."""
        self.generated += len(output.new_token_ids)
        self._outputs.append(output)
        if not self._stops:
            return output.finish_reason
        piece = self._read()
        self._pieces.append(piece)
        return FinishReason.STOP if piece.finish_reason == "stop" else output.finish_reason

    def put(self, ended: RequestOutput | PoolingRequestOutput | Exception) -> None:
        """vLLM's word for an end that does not come from the core: an error, or an abort."""
        self._error = ended if isinstance(ended, Exception) else GaveUp()
        self.wake()

    def wake(self) -> None:
        self.held = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> Piece:
        """All that has come since the last call, at least something.

        Raises:
            GaveUp: the request was aborted.
            Exception: of the engine's, when it has died.
        """
        while not self._outputs and not self._pieces and self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._outputs:
            self._pieces.append(self._read())
        pieces, self._pieces = self._pieces, []
        if pieces:
            return pieces[0] if len(pieces) == 1 else _joined(pieces)
        raise self._error or GaveUp

    def _read(self) -> Piece:
        outputs, self._outputs = self._outputs, []
        last, detokenizer = outputs[-1], self._detokenizer
        token_ids = [token_id for output in outputs for token_id in output.new_token_ids]
        logprobs = self._read_logprobs(outputs)
        reason, stop_reason = last.finish_reason, last.stop_reason
        known = detokenizer.num_output_tokens()
        if stop := detokenizer.update(token_ids, reason == FinishReason.STOP):
            reason, stop_reason = FinishReason.STOP, stop
            kept = detokenizer.num_output_tokens() - known
            self.generated -= len(token_ids) - kept
            token_ids, logprobs = token_ids[:kept], logprobs and logprobs[:kept]
        text = detokenizer.get_next_output_text(reason is not None, True)
        return Piece(text, token_ids, logprobs, None if reason is None else str(reason), stop_reason)

    def _read_logprobs(self, outputs: list[EngineCoreOutput]) -> Logprobs | None:
        everything = self._logprobs.logprobs
        if everything is None:
            return None
        known = len(everything)
        for output in outputs:
            self._logprobs.update_from_output(output)
        return [everything[position] for position in range(known, len(everything))]


def _joined(pieces: list[Piece]) -> Piece:
    logprobs = None if pieces[0].logprobs is None else [one for piece in pieces for one in piece.logprobs or ()]
    return Piece(
        "".join(piece.text for piece in pieces),
        [token_id for piece in pieces for token_id in piece.token_ids],
        logprobs,
        pieces[-1].finish_reason,
        pieces[-1].stop_reason,
    )
