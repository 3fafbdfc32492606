"""The family of parsers that a setting or a chat template names, and what it needs of the engine."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.lifecycle.loading import choose_family
from server.parsing import detect
from server.settings import SettingsError
from tests.api.test_turns import answer
from tests.engine.test_vllm_parser import KIMI, SPECIAL, make_tokenizer


def prompts(special: list[str]) -> Any:
    return SimpleNamespace(tokenizer=make_tokenizer(special), special_tokens=special)


@pytest.mark.parametrize(
    ("name", "special", "kept"),
    [
        ("hermes", ["<|im_end|>"], False),
        ("hermes", ["<|im_end|>", "<tool_call>"], True),
        ("gpt_oss", [], True),
        ("vllm:kimi_k2", SPECIAL, True),
        ("vllm:phi4_mini_json", ["<|end|>"], False),
        ("vllm:phi4_mini_json", ["</think>"], True),
    ],
)
def test_special_tokens_are_kept_where_they_are_markers(name: str, special: list[str], kept: bool) -> None:
    assert choose_family(name, prompts(special)).special_tokens == kept


def test_a_tokenizer_without_the_parsers_tokens_is_refused_by_the_settings_name() -> None:
    with pytest.raises(SettingsError, match=r"`model.tool_format`: vllm:jamba"):
        choose_family("vllm:jamba", prompts([]))


async def test_a_foreign_family_from_its_template_to_the_wire() -> None:
    name = detect("{{ '<|tool_calls_section_begin|><|tool_call_begin|>' + call.id }}")
    family = choose_family(name, prompts(SPECIAL))
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    said = await answer(f"<think>Hm.</think>One moment.{KIMI}", {"family": family}, tools=tools)
    assert said.message["reasoning_content"] == "Hm."
    assert said.message["content"] == "One moment."
    assert said.calls == [{"name": "get_weather", "arguments": '{"city": "Pune"}'}]
    assert said.reason == "tool_calls"
