"""Which system prompts want words before a tool call."""

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest

from server.nano.train.corpus.actions import talk
from server.prompt.filler.asking import AskRule

PROMPTS = tomllib.loads(Path(__file__).with_name("filler_prompts.toml").read_text(encoding="utf-8"))
LANGUAGES = pytest.mark.parametrize("language", PROMPTS)

RECOMMENDED = (
    "You are a friendly phone agent. Briefly acknowledge out loud before using any tool, like 'Let me check that' or "
    "'One moment'."
)
ASKING = [
    RECOMMENDED,
    "You are a friendly phone agent. Briefly acknowledge out loud before using any tool.",
    "- Be brief.\n- Before each function call, tell the customer to hold on.\n- No markdown.",
    "Whenever you call an API, announce it first.",
    "You are a voice assistant. Your answers are converted with text-to-speech.",
    "You are a VOICE AGENT for a bank.",
    "You answer calls for a dental practice.",
    "You are the receptionist of a hotel.",
    "Your replies are read aloud to the customer.",
    "You talk to callers over the phone.",
]
NOT_ASKING = [
    "",
    "You are a helpful assistant.",
    "You are a helpful assistant with tools. Use them when needed.",
    "If a tool returns an error, tell the user.",
    "After each function call, say what the result was.",
    "Before booking, ask for the phone number of the customer.",
    "Write Python functions. Say what each function does.",
    "You are a coding assistant. Call tools to read files.",
    "Summarise the voice of the author.",
    "Answer in the tone of a phone book.",
    "Speak like a pirate.",
]
FORBIDDING = [
    "You are a phone agent. Call tools silently.",
    "You are a voice agent. Never announce a tool.",
    "You are a phone agent. Don't say anything before you use a tool.",
    "You are a voice bot. When you use a tool, output only the call.",
    "You are a phone agent. Use your functions without telling the caller.",
    "You are a phone agent. No fillers before function calls.",
]


@pytest.fixture(scope="module")
def rule() -> AskRule:
    return AskRule()


@pytest.mark.parametrize("prompt", [prompt for prompt in (*ASKING, *FORBIDDING) if "agent" in prompt])
def test_who_speaks_is_known_whatever_is_said_of_calls(rule: AskRule, prompt: str) -> None:
    assert rule.spoken([prompt])


@pytest.mark.parametrize("prompt", NOT_ASKING)
def test_who_writes_does_not_speak(rule: AskRule, prompt: str) -> None:
    assert not rule.spoken([prompt])


@pytest.mark.parametrize("prompt", ASKING)
def test_it_is_asked_for(rule: AskRule, prompt: str) -> None:
    assert rule.wanted([prompt])
    assert rule.wanted(["You help people.", prompt])


@pytest.mark.parametrize("prompt", NOT_ASKING)
def test_it_is_not_asked_for(rule: AskRule, prompt: str) -> None:
    assert not rule.wanted([prompt])


@pytest.mark.parametrize("prompt", FORBIDDING)
def test_it_is_forbidden_although_the_agent_speaks(rule: AskRule, prompt: str) -> None:
    assert not rule.wanted([prompt])
    assert not rule.wanted(prompt.split(". "))


def test_no_system_message_asks_for_nothing(rule: AskRule) -> None:
    assert not rule.wanted([])


@LANGUAGES
def test_each_language_declares_a_voice_agent(rule: AskRule, language: str) -> None:
    assert rule.wanted([PROMPTS[language]["voice"]])


@LANGUAGES
def test_each_language_asks_for_words(rule: AskRule, language: str) -> None:
    assert rule.wanted([PROMPTS[language]["asks"]])
    assert rule.wanted([PROMPTS[language]["asks"].upper()])


@LANGUAGES
def test_each_language_forbids_them(rule: AskRule, language: str) -> None:
    prompts = PROMPTS[language]
    assert not rule.wanted([prompts["forbids"]])
    assert not rule.wanted([prompts["voice"], prompts["forbids"]])


@pytest.mark.parametrize("language", ["en", "hi", "es"])
def test_the_wordings_that_the_embedded_model_is_trained_on(rule: AskRule, language: str) -> None:
    table = talk()
    assert [text for text in table["asks_for_filler"][language] if not rule.wanted([text])] == []
    assert [text for text in table["forbids_filler"][language] if rule.wanted([text])] == []


def test_the_sentences_that_are_composed_for_it(rule: AskRule) -> None:
    table = {name: talk()[name]["en"] for name in ("before", "say", "stay_silent", "like")}
    asking = [
        text
        for before, say, like in product(table["before"], table["say"], set(table["like"]))
        for text in (f"{before.capitalize()}, {say}{like}.", f"{say.capitalize()} {before}{like}.")
    ]
    forbidding = [
        text
        for before, silence in product(table["before"], table["stay_silent"])
        for text in (f"{before.capitalize()}, {silence}.", f"{silence.capitalize()} {before}.")
    ]
    assert [text for text in asking if not rule.wanted([text])] == []
    assert [text for text in forbidding if rule.wanted([f"You are a phone agent. {text}"])] == []


def test_neutral_sentences_ask_for_nothing(rule: AskRule) -> None:
    sentences = [text for texts in talk()["neutral"].values() for text in texts if not re.search("phone|call", text)]
    assert [text for text in sentences if rule.wanted([text])] == []


def test_an_operators_patterns_come_first() -> None:
    rule = AskRule(asks=["be chatty"], forbids=["be quiet"])
    assert rule.wanted(["Be chatty."])
    assert not rule.wanted(["Be chatty, but be quiet."])
    assert not rule.wanted(["You are a phone agent. Be quiet."])
    assert rule.wanted(["You are a phone agent."])


def test_the_shipped_wordings_can_be_left_out() -> None:
    rule = AskRule(asks=["be chatty"], shipped=False)
    assert rule.wanted(["Be chatty."])
    assert not rule.wanted([RECOMMENDED])
