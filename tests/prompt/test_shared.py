"""What a conversation shares with everybody: the declared system prompt, to the last token that is surely its own."""

import pytest

from server.nano import model_path
from server.prompt import PromptBuilder, load_prompt_builder
from server.protocol import ChatRequest, Message, Tool
from server.settings import SettingsError

DECLARED = "You are the voice of the Corner Bakery. Answer in one sentence, and never name a price."
OTHER = "आप एक सहायक हैं।"


@pytest.fixture(scope="module")
def builder() -> PromptBuilder:
    return load_prompt_builder(model_path(), context_window=4096, shared_prompts=(DECLARED, OTHER))


def shared(builder: PromptBuilder, system: str, *, tools: tuple[Tool, ...] = ()) -> str:
    """The text of the shared tokens."""
    messages = (Message("system", system), Message("user", "Hello"))
    prompt = builder.chat(ChatRequest(model="electron", messages=messages, tools=tools))
    return builder.tokenizer.decode(prompt.token_ids[: prompt.shared_tokens])


@pytest.mark.parametrize("declared", [DECLARED, OTHER])
@pytest.mark.parametrize("more", ["", " Be kind.", "\n\nThe caller is Ann.", "!", "1"])
def test_the_same_tokens_whatever_follows(builder: PromptBuilder, declared: str, more: str) -> None:
    text = shared(builder, declared + more)
    assert text == shared(builder, declared)
    assert declared[:-8] in text  # at most the last word is left out


def test_tools_follow_or_are_not_shared(builder: PromptBuilder) -> None:
    assert shared(builder, DECLARED, tools=(Tool("look", "Looks.", None),)) in ("", shared(builder, DECLARED))


@pytest.mark.parametrize("system", ["You are the voice of the Corner Shop.", DECLARED[:40], "x" + DECLARED, "Hi"])
def test_another_prompt_shares_nothing(builder: PromptBuilder, system: str) -> None:
    assert shared(builder, system) == ""


def test_without_a_declaration_nothing_is_shared() -> None:
    assert shared(load_prompt_builder(model_path(), context_window=4096), DECLARED) == ""


@pytest.mark.parametrize("text", ["", "   ", "<|im_start|>system"])
def test_what_the_template_does_not_write_as_it_is_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="shared_prompts"):
        load_prompt_builder(model_path(), context_window=4096, shared_prompts=(text,))
