"""Each account has a prefix cache of its own, but for what the operator has declared to be everybody's."""

from typing import Any

import pytest

from tests.accounts.callers import ask, calling
from tests.accounts.fleet import HOUSE_PROMPT, Fleet

BLOCK = 16  # tokens
OWN_PROMPT = "You are the assistant of a law firm. " + "Nobody else may know what is said here. " * 12
COMPUTED = "vllm:request_prefill_kv_computed_tokens_sum"


class Asked:
    """What one question found in the cache, and what the engine had to work out for it. Tokens."""

    def __init__(self, usage: Any, computed: float) -> None:
        self.prompt = usage.prompt_tokens
        self.cached = usage.prompt_tokens_details.cached_tokens
        self.computed = computed


async def asked(fleet: Fleet, key: str, system: str, question: str) -> Asked:
    before = fleet.a.series(COMPUTED)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    async with calling(fleet.a, key) as client:
        answer = await ask(client, messages=messages)
    return Asked(answer.usage, fleet.a.series(COMPUTED) - before)


def whole_blocks(tokens: int) -> int:
    """Of a prompt that is there, all but the last token may be taken from the cache."""
    return (tokens - 1) // BLOCK * BLOCK


@pytest.fixture(scope="module")
def keys(fleet: Fleet) -> tuple[str, str]:
    return fleet.account("ann", "line"), fleet.account("bob", "line")


async def test_what_one_account_has_asked_is_new_for_another(fleet: Fleet, keys: tuple[str, str]) -> None:
    """Neither the figure nor the work, and so the time to the first token, tells that somebody else was there."""
    ann, bob = keys
    first = await asked(fleet, ann, OWN_PROMPT, "Is it true?")
    again = await asked(fleet, ann, OWN_PROMPT, "Is it true?")
    other = await asked(fleet, bob, OWN_PROMPT, "Is it true?")
    own = await asked(fleet, bob, OWN_PROMPT, "Is it true?")
    assert (first.cached, first.computed) == (other.cached, other.computed) == (0, first.prompt)
    assert again.cached == own.cached == whole_blocks(first.prompt) > 100
    assert again.computed == own.computed == first.prompt - again.cached


async def test_nobody_chooses_a_salt(fleet: Fleet, keys: tuple[str, str]) -> None:
    """A client's own `cache_salt` has no effect: fields that are not in the table are ignored."""
    ann, _ = keys
    messages = [{"role": "system", "content": OWN_PROMPT}, {"role": "user", "content": "And who says so?"}]
    async with calling(fleet.a, ann) as client:
        await ask(client, messages=messages)
        answer = await ask(client, messages=messages, extra_body={"cache_salt": "mine"})
    assert answer.usage.prompt_tokens_details.cached_tokens == whole_blocks(answer.usage.prompt_tokens)


async def test_a_declared_prompt_is_cached_once_for_all(fleet: Fleet, keys: tuple[str, str]) -> None:
    ann, bob = keys
    question = "Have you a room for two people and a dog, with a view of the sea? And what would that cost? " * 4
    first = await asked(fleet, ann, HOUSE_PROMPT, question)
    again = await asked(fleet, ann, HOUSE_PROMPT, question)
    other = await asked(fleet, bob, HOUSE_PROMPT, question)
    assert first.cached == 0 and first.computed == first.prompt
    assert again.cached == whole_blocks(first.prompt)
    # The house's prompt, in whole blocks, and not one block more of a conversation that is the same to the last word.
    alone = await asked(fleet, fleet.account("cleo", "line"), HOUSE_PROMPT, "?")
    assert other.cached == alone.cached
    assert 100 < other.cached < again.cached - 2 * BLOCK
    assert other.computed == other.prompt - other.cached
    own = await asked(fleet, bob, HOUSE_PROMPT, question)
    assert own.cached == again.cached


async def test_a_longer_prompt_shares_its_declared_beginning_alone(fleet: Fleet, keys: tuple[str, str]) -> None:
    ann, bob = keys
    private = HOUSE_PROMPT + " The number of the safe is four, seven, one, one, and nobody but the owner may have it."
    secret = await asked(fleet, ann, private, "Hello")
    declared = await asked(fleet, fleet.account("dan", "line"), HOUSE_PROMPT, "Is breakfast included?")
    other = await asked(fleet, bob, private, "Hello")
    assert other.cached == declared.cached > 100
    assert secret.cached == declared.cached  # it was there since the test before, or since Bob's or Ann's first word
