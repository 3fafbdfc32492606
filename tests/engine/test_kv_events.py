"""The prefix cache of a real engine, rebuilt from its KV events: what the index promises is what the engine finds."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from vllm import LLM, SamplingParams
from vllm.distributed import kv_events

from benchmarks.kv_events import Subscriber
from benchmarks.prefix_index import Batch, BlockRemoved, BlockStored, PrefixIndex
from tests.kernels.cpu.conftest import VOCABULARY, byte_tokenizer, running_engine

BLOCK, BLOCKS, WINDOW = 16, 48, 512
WAIT = 60_000  # ms that an event may take


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("kv")
    return f"ipc://{folder}/events", f"ipc://{folder}/replay"


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory, addresses: tuple[str, str]) -> Iterator[LLM]:
    """Keeps no more than the last eight batches for a replay."""
    path: Path = tmp_path_factory.mktemp("tiny")
    heads = dict(num_attention_heads=2, num_key_value_heads=1, head_dim=16)
    shape = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, max_position_embeddings=WINDOW)
    Qwen3ForCausalLM(Qwen3Config(vocab_size=VOCABULARY, **shape, **heads)).save_pretrained(path)
    byte_tokenizer().save_pretrained(path)
    events, replay = addresses
    config = dict(
        enable_kv_cache_events=True, endpoint=events, replay_endpoint=replay, topic="kv@pod@m", buffer_steps=8
    )
    options = dict(max_model_len=WINDOW, max_num_seqs=8, num_gpu_blocks_override=BLOCKS, kv_events_config=config)
    with running_engine(path, **options) as llm:
        yield llm


@pytest.fixture
def subscriber(llm: LLM, addresses: tuple[str, str]) -> Iterator[Subscriber]:
    with Subscriber(PrefixIndex(), *addresses, topic="kv@") as subscriber:
        join(llm, subscriber)
        clear(llm, subscriber)
        yield subscriber


def prompt(length: int, seed: int) -> list[int]:
    return torch.randint(0, VOCABULARY - 1, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def cached(llm: LLM, ids: list[int], salt: str | None = None, tokens: int = 2) -> int:
    """What the engine finds of a prompt."""
    request: dict[str, Any] = {"prompt_token_ids": ids} | ({"cache_salt": salt} if salt else {})
    (output,) = llm.generate(request, SamplingParams(max_tokens=tokens, ignore_eos=True), use_tqdm=False)
    return int(output.num_cached_tokens or 0)


def anything(llm: LLM) -> list[int]:
    """A prompt of one block that nobody has had."""
    ids = prompt(BLOCK + 1, random.randrange(2**31))
    assert cached(llm, ids) == 0
    return ids


def join(llm: LLM, subscriber: Subscriber) -> None:
    """A subscription takes a moment, and what is published before it is not for us."""
    while not subscriber.poll(50):
        anything(llm)


def settle(llm: LLM, subscriber: Subscriber) -> None:
    """Events come in order: when the last prompt is known, so is all that was before it."""
    ids = anything(llm)
    while subscriber.index.cached_tokens(ids) != BLOCK:
        assert subscriber.poll(WAIT), "an event is missing"


def clear(llm: LLM, subscriber: Subscriber) -> None:
    assert llm.reset_prefix_cache()
    settle(llm, subscriber)


def test_a_prompt_is_known_up_to_its_last_block(llm: LLM, subscriber: Subscriber) -> None:
    for length in (BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 7):
        ids = prompt(length, seed=length)
        assert subscriber.index.cached_tokens(ids) == cached(llm, ids) == 0
        settle(llm, subscriber)
        assert subscriber.index.cached_tokens(ids) == cached(llm, ids) == (length - 1) // BLOCK * BLOCK


def test_what_follows_a_prompt_is_a_longer_one(llm: LLM, subscriber: Subscriber) -> None:
    ids = prompt(40, seed=1)
    (output,) = llm.generate({"prompt_token_ids": ids}, SamplingParams(max_tokens=40, ignore_eos=True), use_tqdm=False)
    settle(llm, subscriber)
    longer = ids + list(output.outputs[0].token_ids) + prompt(9, seed=2)
    assert subscriber.index.cached_tokens(longer) == cached(llm, longer) > len(ids)


def test_the_index_and_the_engine_agree_while_blocks_are_driven_out(llm: LLM, subscriber: Subscriber) -> None:
    chance = random.Random(3)
    begun = [prompt(chance.randrange(20, 120), seed) for seed in range(12)]
    found = []
    for turn in range(60):
        ids = chance.choice(begun)[: chance.randrange(17, 120)] + prompt(chance.randrange(1, 60), 100 + turn % 9)
        promised = subscriber.index.cached_tokens(ids)
        found.append(cached(llm, ids))
        assert promised == found[-1]
        settle(llm, subscriber)
        assert len(subscriber.index) < BLOCKS
    assert 0 in found and max(found) > BLOCK  # both kinds were met


def test_a_cleared_cache_is_empty(llm: LLM, subscriber: Subscriber) -> None:
    ids = prompt(100, seed=4)
    cached(llm, ids)
    settle(llm, subscriber)
    assert subscriber.index.cached_tokens(ids) == 96
    clear(llm, subscriber)
    assert subscriber.index.cached_tokens(ids) == cached(llm, ids) == 0
    assert len(subscriber.index) == 1  # what settled it


def test_each_salt_has_blocks_of_its_own(llm: LLM, subscriber: Subscriber) -> None:
    ids = prompt(50, seed=5)
    cached(llm, ids, "ann")
    settle(llm, subscriber)
    assert subscriber.index.salts() == {"ann"}
    promised = {salt: subscriber.index.cached_tokens(ids, salt) for salt in ("ann", "bob")}
    assert promised == {salt: cached(llm, ids, salt) for salt in promised} == {"ann": 48, "bob": 0}


def deafen(llm: LLM, subscriber: Subscriber, ids: list[int]) -> None:
    """What the engine stores of a prompt never reaches the subscriber."""
    cached(llm, ids)
    assert subscriber._socket.poll(WAIT)
    subscriber._socket.recv_multipart()


def test_what_was_missed_is_replayed(llm: LLM, subscriber: Subscriber) -> None:
    ids, replayed, lost = prompt(80, seed=6), subscriber.replayed, subscriber.lost
    deafen(llm, subscriber, ids)
    settle(llm, subscriber)
    assert subscriber.replayed > replayed and subscriber.lost == lost
    assert subscriber.index.cached_tokens(ids) == cached(llm, ids) == 64


def test_who_comes_late_learns_what_the_engine_still_remembers(
    llm: LLM, subscriber: Subscriber, addresses: tuple[str, str]
) -> None:
    ids = prompt(80, seed=7)
    cached(llm, ids)
    settle(llm, subscriber)
    with Subscriber(PrefixIndex(), *addresses) as late:
        late.catch_up()
        assert 1 <= late.replayed == late.seen <= 8
        assert late.index.cached_tokens(ids) == 64


def test_what_cannot_be_replayed_is_forgotten(llm: LLM, subscriber: Subscriber, addresses: tuple[str, str]) -> None:
    known, missed = prompt(80, seed=8), prompt(80, seed=9)
    with Subscriber(PrefixIndex(), addresses[0]) as alone:
        join(llm, alone)
        cached(llm, known)
        settle(llm, alone)
        assert alone.index.cached_tokens(known) == 64
        lost = alone.lost
        deafen(llm, alone, missed)
        settle(llm, alone)
        assert alone.lost > lost
        assert alone.index.cached_tokens(known) == alone.index.cached_tokens(missed) == 0
        assert cached(llm, known) == cached(llm, missed) == 64  # it promises too little, never too much


def test_an_engine_that_starts_anew_has_nothing(tmp_path: Path) -> None:
    address, topic = f"ipc://{tmp_path}/events", "kv@pod@m"
    stored = dict(parent_block_hash=None, token_ids=[1, 2], block_size=2, lora_id=None, medium="GPU", lora_name=None)
    with Subscriber(PrefixIndex(), address, topic="kv@") as subscriber:
        for name, others in ((b"first", [b"twin"]), (b"second", [])):
            engine = kv_events.ZmqEventPublisher(0, endpoint=address, topic=topic)
            for _ in range(1000):
                blocks = [kv_events.BlockStored([each], **stored) for each in (name, *others)]
                engine.publish(kv_events.KVEventBatch(ts=time.time(), events=blocks))
                if subscriber.poll(100):
                    break
            engine.shutdown()
            assert subscriber.index.cached_tokens([1, 2, 3]) == 2
            assert len(subscriber.index) == 1 + len(others)


def test_blocks_elsewhere_are_not_counted() -> None:
    """In the CPU's memory, or of a second kind of attention."""
    index = PrefixIndex()
    for place in ({"medium": "CPU"}, {"group_idx": 1}):
        index.apply(Batch(0.0, [BlockStored([b"a"], None, [1, 2], 2, **place)]))
    assert len(index) == 0
    index.apply(Batch(0.0, [BlockStored([b"a", b"b"], None, [1, 2, 3, 4], 2, "GPU")]))
    index.apply(Batch(1.0, [BlockRemoved([b"a"], "CPU")]))
    assert index.cached_tokens([1, 2, 3, 4, 5]) == 4
    index.apply(Batch(2.0, [BlockRemoved([b"a", b"unknown"], "GPU")]))
    assert index.cached_tokens([1, 2, 3, 4, 5]) == 0
