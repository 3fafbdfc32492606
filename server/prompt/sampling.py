"""A request's sampling fields as the engine takes them."""

from server.protocol import ChatRequest, CompletionRequest
from server.records import Sampling

# OpenAI's range includes 0, the engine's does not. This, the smallest normal float32, keeps the likeliest token alone.
SMALLEST_TOP_P = 2.0**-126


def sampling_of(request: ChatRequest | CompletionRequest, max_tokens: int) -> Sampling:
    """`max_tokens`: what the window leaves of the output that was asked for; at least 1."""
    return Sampling(
        max_tokens=max_tokens,
        temperature=request.temperature,
        top_p=max(request.top_p, SMALLEST_TOP_P),
        top_k=max(request.top_k, 0),
        min_p=request.min_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        stop=request.stop,
        stop_token_ids=request.stop_token_ids,
        include_stop_str_in_output=request.include_stop_str_in_output,
        ignore_eos=request.ignore_eos,
        min_tokens=min(request.min_tokens, max_tokens),
        logit_bias=request.logit_bias,
        logprobs=request.alternatives,
        bad_words=request.bad_words,
        allowed_token_ids=request.allowed_token_ids,
    )
