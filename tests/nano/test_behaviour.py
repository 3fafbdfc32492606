"""What the shipped weights do with the README's example, in plain transformers and greedily."""

import json
import re

import pytest
import torch
from transformers import AutoModelForCausalLM

from server.nano import model_path

VOICE = (
    "You are a friendly phone agent. Briefly acknowledge out loud before using any tool, "
    "like 'Let me check that' or 'One moment'."
)
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather for a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = re.compile(r"(?P<filler>.*?)<tool_call>\n(?P<json>\{.*\})\n</tool_call>", re.DOTALL)


@pytest.fixture(scope="module")
def answer(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)

    def greedy(messages, tools=None) -> str:
        text = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
        ids = torch.tensor([tokenizer.encode(text)])
        out = model.generate(ids, max_new_tokens=80, do_sample=False)
        return tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)

    return greedy


def asked(city: str, *system: str) -> list[dict]:
    spoken = [{"role": "system", "content": text} for text in system]
    return [*spoken, {"role": "user", "content": f"What's the weather in {city}?"}]


@pytest.mark.parametrize("city", ["Mumbai", "Paris", "Oslo"])
def test_with_a_voice_prompt_a_filler_comes_before_the_call(answer, city):
    match = CALL.fullmatch(answer(asked(city, VOICE), [TOOL]))
    assert json.loads(match["json"]) == {"name": "get_weather", "arguments": {"city": city}}
    assert 1 <= len(match["filler"].split()) <= 12


@pytest.mark.parametrize("city", ["Mumbai", "Paris", "Oslo"])
def test_without_one_the_call_comes_alone(answer, city):
    match = CALL.fullmatch(answer(asked(city), [TOOL]))
    assert json.loads(match["json"]) == {"name": "get_weather", "arguments": {"city": city}}
    assert match["filler"] == ""


def test_the_result_is_said_in_a_sentence(answer):
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Mumbai"}}}
    said = answer(
        [
            *asked("Mumbai", VOICE),
            {"role": "assistant", "content": "Let me check the weather in Mumbai for you.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": '{"temperature": 31, "condition": "sunny"}'},
        ],
        [TOOL],
    )
    assert "31" in said
    assert "sunny" in said
    assert "<tool_call>" not in said
