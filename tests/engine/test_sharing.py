"""Which blocks two requests have in common, by their hashes. On the real engine: tests/accounts/test_isolation.py."""

from itertools import takewhile

import pytest
from vllm.config import SchedulerConfig
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.request import Request

from server.engine.sharing import SHARED_TOKENS, LateSalt, SharingAsyncScheduler, SharingScheduler, share_prompts
from server.settings import SettingsError

BLOCK = 4
PROMPT = list(range(22))


@pytest.fixture(scope="module", autouse=True)
def seed() -> None:
    init_none_hash(sha256)


def request(tokens: list[int], salt: str, shared: int) -> Request:
    """As the engine makes it."""
    params = SamplingParams(max_tokens=50, extra_args={SHARED_TOKENS: shared} if shared else None)
    made = Request("r", tokens, params, None, cache_salt=salt, block_hasher=get_request_block_hasher(BLOCK, sha256))
    LateSalt(BLOCK, sha256).apply(made)
    return made


def in_common(one: Request, other: Request) -> int:
    """Blocks. After one that differs, no later one may be the same."""
    pairs = zip(one.block_hashes, other.block_hashes, strict=False)
    common = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    assert set(one.block_hashes[common:]).isdisjoint(other.block_hashes[common:])
    return common


@pytest.mark.parametrize(("shared", "blocks"), [(0, 0), (3, 0), (4, 1), (11, 2), (12, 3), (20, 5), (22, 5)])
def test_two_accounts_share_the_whole_blocks_of_what_is_everybodys(shared: int, blocks: int) -> None:
    one, other = request(PROMPT, "a", shared), request(PROMPT, "b", shared)
    assert in_common(one, other) == blocks
    assert in_common(one, request(PROMPT, "a", shared)) == len(PROMPT) // BLOCK


def test_without_shared_tokens_the_hashes_are_vllms() -> None:
    made = request(PROMPT, "a", 0)
    hasher = get_request_block_hasher(BLOCK, sha256)
    bare = Request("r", PROMPT, SamplingParams(), None, cache_salt="a", block_hasher=hasher)
    assert made.block_hashes == bare.block_hashes


def test_shared_blocks_are_those_of_a_request_without_a_salt() -> None:
    bare = Request("r", PROMPT, SamplingParams(), None, block_hasher=get_request_block_hasher(BLOCK, sha256))
    assert in_common(request(PROMPT, "a", 12), bare) == 3


@pytest.mark.parametrize("at_first", range(1, 22))
def test_tokens_one_by_one_are_hashed_as_all_at_once(at_first: int) -> None:
    """A prompt may end within the shared part: the salt then enters with a block that is generated."""
    grown = request(PROMPT[:at_first], "a", 12)
    for token in PROMPT[at_first:]:
        grown.append_output_token_ids(token)
    assert grown.block_hashes == request(PROMPT, "a", 12).block_hashes


@pytest.mark.parametrize(("at_once", "scheduler"), [(True, SharingAsyncScheduler), (False, SharingScheduler)])
def test_the_scheduler_is_vllms_own_kind(at_once: bool, scheduler: type) -> None:
    config = SchedulerConfig(max_model_len=64, is_encoder_decoder=False, async_scheduling=at_once)
    share_prompts(config)
    assert config.get_scheduler_cls() is scheduler
    with pytest.raises(SettingsError, match="scheduler_cls"):
        share_prompts(config)
