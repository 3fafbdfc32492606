"""What a turn looks like on the wire: words, thoughts and calls, streamed and whole."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import orjson
import pytest

from server.parsing import FAMILIES
from server.protocol.responses import ChatCompletion, ChatCompletionChunk
from server.settings import SpeechSettings
from tests.test_app import CHAT, House, body

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("look", "hang_up")]
LOOK = '<tool_call>\n{"name": "look", "arguments": {"city": "Pune"}}\n</tool_call>'
HANG_UP = '<tool_call>\n{"name": "hang_up"}\n</tool_call>'
FORCED = ["required", {"type": "function", "function": {"name": "look"}}]
THINK = "<think>\nWhich city? <tool_call>\n</think>\n\n"
# One turn of words and two calls, in the manner of each family.
SPOKEN = {
    "hermes": f"One moment.\n{LOOK}\n{HANG_UP}",
    "qwen3_coder": "One moment.\n<tool_call>\n<function=look>\n<parameter=city>\nPune\n</parameter>\n</function>\n"
    "</tool_call>\n<tool_call>\n<function=hang_up>\n</function>\n</tool_call>",
    "glm45": "One moment.\n<tool_call>look\n<arg_key>city</arg_key>\n<arg_value>Pune</arg_value>\n</tool_call>\n"
    "<tool_call>hang_up\n</tool_call>",
    "mistral": 'One moment.[TOOL_CALLS]look[ARGS]{"city": "Pune"}[TOOL_CALLS]hang_up[ARGS]{}</s>',
    "llama_json": 'One moment. {"name": "look", "parameters": {"city": "Pune"}}; {"name": "hang_up", "parameters": {}}',
    "llama_pythonic": 'One moment. [look(city="Pune"), hang_up()]<|eot_id|>',
    "deepseek_v31": "One moment.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>look<｜tool▁sep｜>"
    '{"city": "Pune"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>hang_up<｜tool▁sep｜>{}<｜tool▁call▁end｜>'
    "<｜tool▁calls▁end｜>",
    "gpt_oss": "<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>commentary"
    ' to=functions.look <|constrain|>json<|message|>{"city": "Pune"}<|call|><|start|>assistant<|channel|>commentary'
    " to=functions.hang_up<|message|>{}<|call|>",
}


class Answer:
    """One request, asked whole and streamed. Ids apart both must say the same."""

    def __init__(self, whole: Mapping[str, Any], streamed: str) -> None:
        self.chunks = [orjson.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        self.choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        self.deltas = [choice["delta"] for choice in self.choices]
        self.message = whole["choices"][0]["message"]
        self.reason = whole["choices"][0]["finish_reason"]
        self.calls = [call["function"] for call in self.message["tool_calls"] or ()]
        self.usage = whole["usage"]
        ChatCompletion.model_validate(whole)
        for chunk in self.chunks:
            ChatCompletionChunk.model_validate(chunk)
        self._check_chunks()
        self._check_sums()

    def pieces(self, key: str) -> list[Any]:
        return [delta[key] for delta in self.deltas if delta.get(key)]

    def _check_chunks(self) -> None:
        """What pipecat and LiveKit rely on."""
        assert [delta.get("role") for delta in self.deltas] == ["assistant", *[None] * (len(self.deltas) - 1)]
        assert all(not (delta.get("content") and delta.get("tool_calls")) for delta in self.deltas)
        assert not any(delta.get("content") and delta.get("reasoning_content") for delta in self.deltas)
        entries = [delta["tool_calls"] for delta in self.deltas if "tool_calls" in delta]
        assert all(len(entry) == 1 for entry in entries)
        begun = -1
        for (entry,) in entries:
            if "id" in entry:
                begun += 1
                assert entry["function"]["name"] and entry["type"] == "function"
            else:
                assert "name" not in entry["function"] and entry["function"]["arguments"]
            assert entry["index"] == begun
        assert [choice["finish_reason"] for choice in self.choices[:-1]] == [None] * (len(self.choices) - 1)

    def _check_sums(self) -> None:
        assert "".join(self.pieces("content")) == (self.message["content"] or "")
        assert "".join(self.pieces("reasoning_content")) == self.message.get("reasoning_content", "")
        assert self.choices[-1]["finish_reason"] == self.reason
        entries = [entry for piece in self.pieces("tool_calls") for entry in piece]
        names = [entry["function"]["name"] for entry in entries if "id" in entry]
        arguments = ["" for _ in names]
        for entry in entries:
            arguments[entry["index"]] += entry["function"]["arguments"]
        assert [{"name": n, "arguments": a} for n, a in zip(names, arguments, strict=True)] == self.calls
        ids = [call["id"] for call in self.message["tool_calls"] or ()]
        assert len({*ids}) == len(ids) and all(call_id.startswith("call_") for call_id in ids)


async def ask(client: httpx.AsyncClient, **options: object) -> Answer:
    request = body(**{"tools": TOOLS, "max_tokens": 2000, **options})
    whole = await client.post(CHAT, json=request)
    streamed = await client.post(CHAT, json={**request, "stream": True})
    assert (whole.status_code, streamed.status_code) == (200, 200)
    return Answer(whole.json(), streamed.text)


async def answer(
    text: str | Iterable[str], house_options: Mapping[str, Any] | None = None, **options: object
) -> Answer:
    """To a model that writes `text`, one character a token."""
    async with House(lambda _: list(text), **(house_options or {})).open() as client:
        return await ask(client, **options)


@pytest.mark.parametrize("family", SPOKEN)
async def test_words_and_two_calls_of_every_family(family: str) -> None:
    said = await answer(SPOKEN[family], {"family": FAMILIES[family]})
    assert said.message["content"] == "One moment."
    assert [(call["name"], json.loads(call["arguments"])) for call in said.calls] == [
        ("look", {"city": "Pune"}),
        ("hang_up", {}),
    ]
    assert said.reason == "tool_calls"
    assert len(said.pieces("content")) > 1  # words flow as they come


async def test_a_call_alone_has_no_content() -> None:
    said = await answer(LOOK)
    assert said.message["content"] is None
    assert said.deltas[0] == {"role": "assistant", "content": None}


@pytest.mark.parametrize("choice", ["auto", *FORCED])
async def test_every_turn_that_calls_finishes_so(choice: object) -> None:
    assert (await answer(LOOK, tool_choice=choice)).reason == "tool_calls"


ONE_CALL = [
    *((family, {"parallel_tool_calls": False}) for family in SPOKEN),
    *(("hermes", {"tool_choice": choice}) for choice in FORCED),
]


@pytest.mark.parametrize(("family", "options"), ONE_CALL)
async def test_one_call_only(family: str, options: dict[str, object]) -> None:
    said = await answer(SPOKEN[family], {"family": FAMILIES[family]}, **options)
    assert [call["name"] for call in said.calls] == ["look"]
    assert json.loads(said.calls[0]["arguments"]) == {"city": "Pune"}
    assert (said.message["content"], said.reason) == ("One moment.", "tool_calls")


async def test_the_second_call_stops_the_engine() -> None:
    said = await answer([LOOK, "\n", HANG_UP, "and", "so", "on"], parallel_tool_calls=False)
    assert said.usage["completion_tokens"] == 3


@pytest.mark.parametrize("cut", [5, 30, 45, 57])
async def test_a_call_cut_by_length_says_so_and_cannot_be_carried_out(cut: int) -> None:
    said = await answer(LOOK, max_tokens=cut)
    assert said.reason == "length"
    for call in said.calls:
        assert '{"city": "Pune"}'.startswith(call["arguments"])
        with pytest.raises(json.JSONDecodeError):
            json.loads(call["arguments"])


@pytest.mark.parametrize("size", range(1, len("<tool_call>")))
async def test_no_half_of_a_tag_is_spoken_where_the_answer_is_cut(size: int) -> None:
    words = "One moment."
    said = await answer(f"{words}\n{LOOK}", max_tokens=len(words) + 1 + size)
    assert (said.message["content"], said.calls, said.reason) == (words, [], "length")
    cut = await answer(f"{LOOK}\n{LOOK}", max_tokens=len(LOOK) + 1 + size)
    assert (cut.message["content"], len(cut.calls), cut.reason) == (None, 1, "length")


async def test_a_less_than_sign_at_the_end_of_an_answer_is_one() -> None:
    assert (await answer("It is <")).message["content"] == "It is <"


async def test_without_a_choice_nothing_is_called() -> None:
    said = await answer(f"Hello.\n{LOOK}", tool_choice="none")
    assert (said.message["content"], said.calls, said.reason) == ("Hello.", [], "stop")


async def test_a_thought_is_neither_spoken_nor_lost() -> None:
    said = await answer(f"{THINK}One moment.\n{LOOK}")
    assert said.message["reasoning_content"] == "Which city? <tool_call>"
    assert said.message["content"] == "One moment."
    assert [call["name"] for call in said.calls] == ["look"]
    order = [key for delta in said.deltas[1:] for key in ("reasoning_content", "content", "tool_calls") if key in delta]
    assert order == sorted(order, key=["reasoning_content", "content", "tool_calls"].index)


async def test_a_thought_that_the_prompt_opened() -> None:
    said = await answer("Hm.</think>\n\nHello.", {"tail": "<|im_start|>assistant\n<think>\n"})
    assert (said.message["reasoning_content"], said.message["content"]) == ("Hm.", "Hello.")


async def test_no_thought_no_member_for_it() -> None:
    said = await answer("Hello.")
    assert "reasoning_content" not in said.message
    assert not any("reasoning_content" in delta for delta in said.deltas)


async def test_json_or_a_call() -> None:
    form = {"type": "json_object"}
    whole = '{"a": "<tool_call>"}'
    assert (await answer(whole, response_format=form)).message["content"] == whole
    said = await answer(f"One moment.\n{LOOK}", response_format=form)
    assert (said.message["content"], said.calls[0]["name"], said.reason) == ("One moment.", "look", "tool_calls")


async def test_json_that_is_no_answer_is_not_spoken_to_a_caller() -> None:
    text = 'Hi. {"name": "look"} **Bye.**'
    assert (await answer(text)).message["content"] == "Hi.\n**Bye.**"
    assert (await answer(text, tools=None)).message["content"] == text
    assert (await answer(text, {"spoken": True}, tools=None)).message["content"] == "Hi.\n**Bye.**"
    off = {"speech": SpeechSettings(guard="off")}
    assert (await answer(text, off)).message["content"] == text
    plain = {"speech": SpeechSettings(guard="always", strip_markdown=True)}
    assert (await answer(text, plain, tools=None)).message["content"] == "Hi.\nBye."


@pytest.mark.parametrize("family", ["hermes", "gpt_oss"])
async def test_special_tokens_stay_where_they_are_markers(family: str) -> None:
    house = House(lambda _: ["Hi."], family=FAMILIES[family])
    async with house.open() as client:
        await ask(client)
        await client.post("/v1/completions", json={"model": "electron", "prompt": "Hi"})
    kept = [not prompt.sampling.skip_special_tokens for prompt in house.engine.prompts]
    assert kept == [family == "gpt_oss"] * 2 + [False]


async def test_a_malformed_call_is_counted_and_the_words_around_it_spoken() -> None:
    house = House(lambda _: list('Hm. <tool_call>{"name": look}</tool_call> Sorry.'))
    async with house.open() as client:
        said = await ask(client)
        metrics = (await client.get("/metrics")).text
    assert (said.message["content"], said.calls, said.reason) == ("Hm.\nSorry.", [], "stop")
    counted = [line for line in metrics.splitlines() if line.startswith("electron_parse_failures_total{")]
    assert [float(line.split()[-1]) for line in counted] == [2.0]  # whole and streamed


async def test_a_turn_may_be_echoed_with_every_member_that_was_sent() -> None:
    async with House(lambda _: list(f"{THINK}One moment.\n{LOOK}\n{HANG_UP}")).open() as client:
        first = await ask(client)
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "ok"} for c in first.message["tool_calls"]]
        messages = [{"role": "user", "content": "Hi"}, first.message, *results]
        await ask(client, messages=messages)
        for wrong, path in (
            ([*messages, results[0]], ["messages", "4", "tool_call_id"]),
            ([*messages, {**results[0], "tool_call_id": "call_x"}], ["messages", "4", "tool_call_id"]),
            (
                [messages[0], {**first.message, "tool_calls": first.message["tool_calls"][:1] * 2}, results[0]],
                ["messages", "1", "tool_calls", "1", "id"],
            ),
        ):
            refused = await client.post(CHAT, json=body(messages=wrong))
            assert refused.status_code == 400
            assert [detail["path"] for detail in refused.json()["error"]["details"]] == [path]
