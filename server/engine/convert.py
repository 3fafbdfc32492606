"""Our records to vLLM's parameters, vLLM's outputs to our records."""

from collections.abc import Sequence

from vllm.inputs.engine import TokensInput, tokens_input
from vllm.logprobs import Logprob
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from server.engine.params import Params
from server.engine.sharing import SHARED_TOKENS
from server.engine.stream import Piece
from server.errors import Detail, EngineFailed, InvalidRequest, ServerError
from server.records import Delta, PositionLogprobs, Prompt, Sampling, TokenLogprob

LOWEST_LOGPROB = -9999.0  # JSON has no infinity; OpenAI's documentation names this value for very unlikely tokens


def to_input(prompt: Prompt) -> TokensInput:
    return tokens_input(prompt.token_ids, cache_salt=prompt.cache_salt)


def to_params(sampling: Sampling, grammar: str | None, shared_tokens: int = 0) -> SamplingParams:
    return Params(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        seed=sampling.seed,
        stop=list(sampling.stop),
        stop_token_ids=list(sampling.stop_token_ids),
        include_stop_str_in_output=sampling.include_stop_str_in_output,
        ignore_eos=sampling.ignore_eos,
        min_tokens=sampling.min_tokens,
        logit_bias=dict(sampling.logit_bias) or None,
        logprobs=sampling.logprobs,
        bad_words=list(sampling.bad_words),
        allowed_token_ids=list(sampling.allowed_token_ids) or None,
        skip_special_tokens=sampling.skip_special_tokens,
        structured_outputs=StructuredOutputsParams(grammar=grammar) if grammar else None,
        output_kind=RequestOutputKind.DELTA,
        extra_args={SHARED_TOKENS: shared_tokens} if shared_tokens else None,
        skip_clone=True,
    )


def to_delta(
    piece: Piece, prompt_tokens: int, cached_tokens: int, sampling: Sampling, token_bytes: Sequence[bytes]
) -> Delta:
    """What one piece of an answer says.

    Raises:
        EngineFailed: the engine gave up on the request.
        InvalidRequest: it did because the request forbids every token that its grammar allows. Within a grammar vLLM
            takes stop tokens to be forbidden.
    """
    reason = piece.finish_reason
    if reason not in (None, "stop", "length"):
        raise _gave_up(reason, sampling)
    # The token that ended the answer is no part of its text.
    spoken = len(piece.token_ids) - (reason == "stop" and not isinstance(piece.stop_reason, str))
    return Delta(
        text=piece.text,
        token_ids=tuple(piece.token_ids),
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        logprobs=_positions(piece.logprobs, piece.token_ids[:spoken], sampling.logprobs, token_bytes),
        finish_reason="stop" if reason == "stop" else "length" if reason == "length" else None,
    )


def _gave_up(reason: str, sampling: Sampling) -> ServerError:
    limits = [name for name in ("allowed_token_ids", "bad_words", "stop_token_ids") if getattr(sampling, name)]
    if reason != "error" or not limits:
        return EngineFailed(f"The engine gave up on this request ({reason}).")
    message = "This leaves no token with which a tool call or JSON, as the request wants it, could go on"
    return InvalidRequest.of([Detail("custom", message, (name,)) for name in limits])


def _positions(
    logprobs: Sequence[dict[int, Logprob] | None] | None,
    token_ids: Sequence[int],
    top: int | None,
    token_bytes: Sequence[bytes],
) -> tuple[PositionLogprobs, ...]:
    if logprobs is None or top is None:
        return ()
    return tuple(
        _position(alternatives or {}, chosen, top, token_bytes)
        for alternatives, chosen in zip(logprobs, token_ids, strict=False)
    )


def _position(
    alternatives: dict[int, Logprob], chosen: int, top: int, token_bytes: Sequence[bytes]
) -> PositionLogprobs:
    # vLLM's entry holds the chosen token beside the `top` most likely ones: ranks tell them apart.
    ranked = sorted(alternatives, key=lambda token: alternatives[token].rank or len(token_bytes))
    tokens = {token: _token(token, alternatives[token].logprob, token_bytes) for token in ranked}
    return PositionLogprobs(tokens[chosen], tuple(tokens[token] for token in ranked[:top]))


def _token(token: int, logprob: float, token_bytes: Sequence[bytes]) -> TokenLogprob:
    text = token_bytes[token] if token < len(token_bytes) else b""  # a vocabulary may be padded
    return TokenLogprob(token, text, max(logprob, LOWEST_LOGPROB))
