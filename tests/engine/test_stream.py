"""Tokens that are handed on together make the same answer as tokens that are handed on one by one."""

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.engine.detokenizer import IncrementalDetokenizer
from vllm.v1.engine.output_processor import OutputProcessor, RequestOutputCollector
from vllm.v1.metrics.stats import IterationStats

from server.engine.pace import FEW, Pace
from server.engine.stream import GaveUp, Piece, Stream
from server.engine.streaming import StreamProcessor
from server.nano import model_path

Answer = tuple[str, list[int], str | None, int | str | None]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(model_path()))


def request_of(prompt: list[int], stop: list[str] | None = None, name: str = "r") -> EngineCoreRequest:
    params = SamplingParams(max_tokens=99, stop=stop, output_kind=RequestOutputKind.DELTA, skip_special_tokens=False)
    return EngineCoreRequest(
        request_id=name,
        external_req_id=name,
        prompt_token_ids=prompt,
        mm_features=None,
        sampling_params=params,
        pooling_params=None,
        arrival_time=time.time(),
        lora_request=None,
        cache_salt=None,
        data_parallel_rank=None,
    )


def streaming(tokenizer: PreTrainedTokenizerBase, request: EngineCoreRequest) -> tuple[StreamProcessor, Stream]:
    processor = StreamProcessor(OutputProcessor(tokenizer, log_stats=True), Pace(0.01))
    carrier = RequestOutputCollector(RequestOutputKind.DELTA, request.request_id)
    processor.add_request(request, None, None, 0, carrier)
    assert isinstance(carrier.output, Stream)
    return processor, carrier.output


def outputs_of(tokens: list[int], last: FinishReason = FinishReason.LENGTH, name: str = "r") -> list[EngineCoreOutput]:
    steps = [EngineCoreOutput(request_id=name, new_token_ids=[token]) for token in tokens]
    steps[-1].finish_reason = last
    return steps


def whole(pieces: list[Piece]) -> Answer:
    last = pieces[-1]
    tokens = [token for piece in pieces for token in piece.token_ids]
    return "".join(piece.text for piece in pieces), tokens, last.finish_reason, last.stop_reason


async def dealt(processor: StreamProcessor, stream: Stream, steps: list[EngineCoreOutput], taken: set[int]) -> Answer:
    """Takes after the steps of these numbers, and at the end."""
    pieces = []
    for number, step in enumerate(steps):
        processor.process_outputs([step], time.time(), IterationStats())
        if number in taken or number == len(steps) - 1 or not processor.request_states:
            pieces.append(await stream.take())
        if not processor.request_states:
            break
    return whole(pieces)


texts = st.text(st.sampled_from("abc nनé☎\n.<|"), min_size=1, max_size=30)


@given(
    data=st.data(),
    before=texts,
    text=texts,
    taken=st.sets(st.integers(0, 40)),
    stop=st.sampled_from([None, "n", "c.", "बन"]),
)
@settings(deadline=None)
async def test_any_taking_gives_the_text_of_vllms_own_detokenizer(
    tokenizer: PreTrainedTokenizerBase, data: st.DataObject, before: str, text: str, taken: set[int], stop: str | None
) -> None:
    prompt = tokenizer.encode(before * data.draw(st.sampled_from([1, 30])), add_special_tokens=False)
    tokens = tokenizer.encode(text, add_special_tokens=False)
    stops = [stop] if stop else None
    processor, stream = streaming(tokenizer, request_of(list(prompt), stops))
    answer = await dealt(processor, stream, outputs_of(tokens), taken)

    detokenizer, stopped = IncrementalDetokenizer.from_new_request(tokenizer, request_of(list(prompt), stops)), None
    for token in tokens:
        stopped = stopped or detokenizer.update([token], False)
        if stopped:
            break
    expected = detokenizer.get_next_output_text(finished=True, delta=False)
    assert answer == (expected, detokenizer.output_token_ids, "stop" if stopped else "length", stopped)
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (
        len(prompt),
        detokenizer.num_output_tokens(),
    )


async def test_a_stop_string_is_an_end_that_the_core_has_to_hear_of(tokenizer: PreTrainedTokenizerBase) -> None:
    processor, _ = streaming(tokenizer, request_of([1, 2], stop=["b"]))
    tokens = tokenizer.encode("a b c", add_special_tokens=False)
    steps = outputs_of(tokens)
    ended = [processor.process_outputs([step], 0.0, IterationStats()).reqs_to_abort for step in steps]
    assert [ids for ids in ended if ids] == [["r"]]


async def test_vllms_own_figures_are_what_they_were(tokenizer: PreTrainedTokenizerBase) -> None:
    stats = IterationStats()
    processor, _ = streaming(tokenizer, request_of([1, 2, 3]))
    for number, step in enumerate(outputs_of([5, 6, 7])):
        processor.process_outputs([step], 10.0 + number**2, stats)
    assert stats.num_generation_tokens == 3
    assert len(stats.time_to_first_tokens_iter) == 1
    assert stats.inter_token_latencies_iter == [1.0, 3.0]
    (finished,) = stats.finished_requests
    assert (finished.num_prompt_tokens, finished.num_generation_tokens) == (3, 3)


async def test_who_is_woken_for_nothing_goes_on_waiting(tokenizer: PreTrainedTokenizerBase) -> None:
    processor, stream = streaming(tokenizer, request_of([1]))
    taking = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    stream.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not taking.done()
    processor.process_outputs(outputs_of([5]), 0.0, IterationStats())
    assert (await taking).token_ids == [5]


async def test_an_abort_from_elsewhere_ends_the_waiting(tokenizer: PreTrainedTokenizerBase) -> None:
    processor, stream = streaming(tokenizer, request_of([1]))
    taking = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    processor.abort_requests(["r"], internal=False)
    with pytest.raises(GaveUp):
        await taking


class Waiting:
    """held, wake: as `Pace` asks for."""

    def __init__(self) -> None:
        self.held = False
        self.woken = asyncio.Event()

    def wake(self) -> None:
        self.held = False
        self.woken.set()


async def held_by(pace: Pace, streams: int) -> Waiting:
    one = Waiting()
    pace.hold(one)
    pace.step(streams)
    return one


async def test_under_load_tokens_wait_for_each_other_and_no_longer_than_they_may() -> None:
    pace, loop = Pace(0.05), asyncio.get_running_loop()
    first = await held_by(pace, FEW + 1)
    assert first.woken.is_set()  # nothing had been handed on just before
    began = loop.time()
    second, third = await held_by(pace, FEW + 1), await held_by(pace, FEW + 1)
    assert not second.woken.is_set()
    await asyncio.gather(second.woken.wait(), third.woken.wait())
    assert loop.time() - began > 0.02  # most of the interval


@pytest.mark.parametrize(("interval", "streams"), [(0.05, FEW), (0.0, 1000)])
async def test_without_load_nothing_waits(interval: float, streams: int) -> None:
    pace = Pace(interval)
    for one in [await held_by(pace, streams) for _ in range(3)]:
        assert one.woken.is_set()


@pytest.mark.parametrize(
    ("token", "urgent", "waits"), [(0, lambda: False, False), (1, lambda: False, True), (1, lambda: True, False)]
)
async def test_neither_the_first_token_nor_an_urgent_one_waits(
    tokenizer: PreTrainedTokenizerBase, token: int, urgent: Callable[[], bool], waits: bool
) -> None:
    processor, stream = streaming(tokenizer, request_of([1]))
    stream.urgent = urgent
    for name in map(str, range(FEW + 1)):
        processor.add_request(
            request_of([1], name=name), None, None, 0, RequestOutputCollector(RequestOutputKind.DELTA, name)
        )
    await held_by(processor._pace, FEW + 1)  # something has just been handed on
    for step in outputs_of([5, 6, 7])[: token + 1]:
        processor.process_outputs([step], 0.0, IterationStats())
    assert stream.held == waits
