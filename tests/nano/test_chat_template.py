import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from server.nano import model_path

TEMPLATE = (model_path() / "chat_template.jinja").read_text(encoding="utf-8")
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "पुणे"}}}


def tojson(item: object) -> str:
    return json.dumps(item, ensure_ascii=False)


@cache
def compiled(**blocks: bool) -> Template:
    environment = ImmutableSandboxedEnvironment(**blocks)
    environment.filters["tojson"] = tojson
    return environment.from_string(TEMPLATE)


def render(messages, tools=None, prompt=False, **blocks) -> str:
    return compiled(**blocks).render(messages=messages, tools=tools, add_generation_prompt=prompt)


texts = st.one_of(st.none(), st.text(max_size=12))
calls = st.lists(
    st.builds(
        lambda arguments: {"function": {"name": "f", "arguments": arguments}}, st.sampled_from([{"a": 1}, "{}", {}])
    ),
    max_size=2,
)
messages = st.lists(
    st.one_of(
        st.builds(
            lambda role, content: {"role": role, "content": content}, st.sampled_from(["system", "user", "tool"]), texts
        ),
        st.builds(lambda content, made: {"role": "assistant", "content": content, "tool_calls": made}, texts, calls),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(messages, st.sampled_from([None, [], [TOOL], [TOOL, TOOL]]))
def test_every_prefix_of_the_messages_renders_to_a_prefix(chat, tools):
    rendered = [render(chat[:n], tools) for n in range(len(chat) + 1)]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(rendered))


@settings(deadline=None)
@given(messages)
def test_the_answer_continues_the_generation_prompt(chat):
    answered = render([*chat, {"role": "assistant", "content": "Hello."}])
    assert answered == render(chat, prompt=True) + "Hello.<|im_end|>\n"


@settings(deadline=None)
@given(messages, st.booleans(), st.booleans())
def test_block_trimming_of_the_environment_makes_no_difference(chat, trim, lstrip):
    plain = render(chat, [TOOL], prompt=True)
    assert render(chat, [TOOL], prompt=True, trim_blocks=trim, lstrip_blocks=lstrip) == plain


def test_tools_come_first_and_do_not_depend_on_the_messages():
    head = render([], [TOOL])
    assert head.startswith("<|im_start|>system\n")
    assert '{"name": "get_weather", "arguments": {"city": "optional string"}}' in head
    assert render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], [TOOL]).startswith(
        head
    )
    assert render([{"role": "user", "content": "Hi"}], []) == render([{"role": "user", "content": "Hi"}], None)


@pytest.mark.parametrize(
    ("function", "offer"),
    [
        ({"name": "end_call"}, '{"name": "end_call", "arguments": {}}\nend call'),
        (
            {
                "name": "f",
                "description": 'Say "x".',
                "parameters": {
                    "properties": {
                        "a": {"enum": [1]},
                        "b": {"type": "string", "description": 'A "b"'},
                        "c": {"type": "integer"},
                        "d": {"type": ["string", "null"], "description": "x"},
                    },
                    "required": ["a", "b"],
                },
            },
            '{"name": "f", "arguments": {"a": {"enum": [1]}, "b": "string: A \\"b\\"", "c": optional integer, '
            '"d": optional {"type": ["string", "null"], "description": "x"}}}\nSay "x".',
        ),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_tool_reads_like_its_call_before_what_it_is_for(function, offer, wrapped):
    tool = {"type": "function", "function": function} if wrapped else function
    assert f"<tools>\n{offer}\n</tools>" in render([], [tool])


def test_several_system_messages_and_consecutive_roles_are_kept_in_order():
    chat = [("system", "A"), ("system", "B"), ("user", "C"), ("user", "D"), ("system", "E"), ("assistant", "F")]
    rendered = render([{"role": role, "content": content} for role, content in chat])
    assert rendered == "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in chat)


@pytest.mark.parametrize("arguments", [{"city": "पुणे"}, '{"city": "पुणे"}'])
@pytest.mark.parametrize(("content", "lead"), [(None, ""), ("", ""), ("One moment.", "One moment.\n")])
def test_a_call_follows_its_filler_in_one_fixed_form(arguments, content, lead):
    call = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    text = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "पुणे"}}\n</tool_call>'
    rendered = render([{"role": "assistant", "content": content, "tool_calls": [call, call]}])
    assert rendered == f"<|im_start|>assistant\n{lead}{text}\n{text}<|im_end|>\n"


def test_consecutive_results_share_one_user_turn():
    results = [
        {"role": "tool", "tool_call_id": "a", "content": "31"},
        {"role": "tool", "tool_call_id": "b", "content": "32"},
    ]
    grouped = (
        "<|im_start|>user\n<tool_response>\n31\n</tool_response>\n<tool_response>\n32\n</tool_response><|im_end|>\n"
    )
    assert render([*results, {"role": "user", "content": "x"}]) == grouped + "<|im_start|>user\nx<|im_end|>\n"
    assert render(results, prompt=True) == grouped + "<|im_start|>assistant\n"


def test_transformers_renders_the_same(tokenizer):
    chat = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "31", "tool_call_id": "a"},
    ]
    rendered = tokenizer.apply_chat_template(chat, tools=[TOOL], add_generation_prompt=True, tokenize=False)
    assert rendered == render(chat, [TOOL], prompt=True)


def test_the_documented_cache_check_fills_a_block_before_its_last_token(tokenizer):
    chat = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "What is 2+2?"}]
    assert len(tokenizer.encode(render(chat, prompt=True))) >= 17
