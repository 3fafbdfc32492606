"""Which turns get words before a call, and whose."""

from dataclasses import replace

import pytest

from server.prompt.filler import FillerPlanner, Planned
from server.prompt.filler.phrases import read_phrases
from server.prompt.filler.plan import ROOM
from server.protocol import ChatRequest, FillerOptions, Message, NamedTool, ResponseFormat, Tool
from server.settings import FillerSettings
from tests.prompt.walk import accepts

VOICE = Message("system", "You are a friendly phone agent.")
PLAIN = Message("system", "You are a helpful assistant.")
TOOLS = (Tool("get_weather"), Tool("book_table"), Tool("zzz"))
PHRASES = read_phrases()


@pytest.fixture(scope="module")
def planner() -> FillerPlanner:
    return FillerPlanner(FillerSettings()).speaking(True)


@pytest.fixture(scope="module")
def silent() -> FillerPlanner:
    """For a model whose way of writing calls is not known."""
    return FillerPlanner(FillerSettings()).speaking(False)


def request(*said: str, system: Message | None = VOICE, **options: object) -> ChatRequest:
    """A conversation: words of the caller and of the assistant in turn."""
    roles = ("user", "assistant")
    messages = [Message(roles[index % 2], text) for index, text in enumerate(said or ("Hello there",))]
    asked = ChatRequest(model="electron", messages=tuple([system, *messages] if system else messages), tools=TOOLS)
    return replace(asked, **options)


def phrases(language: str, kind: str) -> set[str]:
    return set(PHRASES.table[language][kind])


@pytest.mark.parametrize("choice", ["auto", "required", NamedTool("zzz")], ids=str)
def test_the_model_speaks_where_it_is_asked_to(planner: FillerPlanner, choice: object) -> None:
    planned = planner.plan(request(tool_choice=choice))
    assert planned.filler and planned.sentence
    assert not planned.filler.phrases and not planned.filler.at_once
    assert accepts(f"root ::= filler\n{planned.sentence}\n", "Let me check that for you.")


@pytest.mark.parametrize(
    "quiet",
    [{"system": None}, {"system": PLAIN}, {"tools": ()}, {"tool_choice": "none"}, {"filler": FillerOptions("off")}],
    ids=str,
)
def test_other_turns_are_the_models_own_affair(planner: FillerPlanner, silent: FillerPlanner, quiet: dict) -> None:
    assert planner.plan(request(**quiet)) == silent.plan(request(**quiet)) == Planned()


def test_always_needs_no_prompt(planner: FillerPlanner) -> None:
    assert planner.plan(request(system=None, filler=FillerOptions("always"))).sentence
    configured = FillerPlanner(FillerSettings(mode="always")).speaking(True)
    assert configured.plan(request(system=PLAIN)).sentence
    assert configured.plan(request(system=PLAIN, filler=FillerOptions("auto"))) == Planned()


def test_a_server_may_be_quiet_until_asked() -> None:
    configured = FillerPlanner(FillerSettings(mode="off")).speaking(True)
    assert configured.plan(request()) == Planned()
    assert configured.plan(request(filler=FillerOptions("auto"))).sentence


@pytest.mark.parametrize(
    "limit",
    [
        {"stop": (".",)},
        {"stop_token_ids": (5,)},
        {"allowed_token_ids": (5,)},
        {"bad_words": ("moment",)},
        {"max_tokens": ROOM - 1},
        {"response_format": ResponseFormat("json_object")},
        {"filler": FillerOptions(strategy="phrase")},
    ],
    ids=str,
)
def test_the_server_speaks_where_a_sentence_might_be_cut(planner: FillerPlanner, limit: dict) -> None:
    planned = planner.plan(request(**limit))
    assert planned.sentence is None
    assert planned.filler and set(planned.filler.phrases) == {tool.name for tool in TOOLS}
    assert planner.plan(request(max_tokens=ROOM)).sentence


def test_the_server_speaks_for_a_model_that_cannot_be_made_to(silent: FillerPlanner) -> None:
    planned = silent.plan(request())
    assert planned.sentence is None
    assert planned.filler
    said = planned.filler.phrases
    assert said["get_weather"] in phrases("en", "look_up")
    assert said["book_table"] in phrases("en", "action")
    assert said["zzz"] in phrases("en", "waiting")


@pytest.mark.parametrize(
    ("choice", "tools", "kind"),
    [
        (NamedTool("book_table"), TOOLS, "action"),
        (NamedTool("get_weather"), TOOLS, "look_up"),
        ("required", TOOLS, "waiting"),
        ("required", TOOLS[:1], "look_up"),
    ],
    ids=str,
)
def test_before_a_forced_call_it_speaks_at_once(silent: FillerPlanner, choice: object, tools: tuple, kind: str) -> None:
    planned = silent.plan(request(tool_choice=choice, tools=tools))
    assert planned.filler
    assert planned.filler.at_once in phrases("en", kind)
    assert not planned.filler.phrases


@pytest.mark.parametrize(
    ("said", "language"),
    [
        (("मौसम कैसा है?",), "hi"),
        (("¿Qué tiempo hace hoy en Madrid?",), "es"),
        (("Hello there, my friend", "Hi.", "Wie ist das Wetter heute in Berlin?"), "de"),
        (("Quel temps fait-il aujourd'hui ?", "Où ?", "4711"), "fr"),
        (("4711",), "en"),
    ],
    ids=str,
)
def test_in_the_language_of_the_callers_last_words(silent: FillerPlanner, said: tuple, language: str) -> None:
    planned = silent.plan(request(*said, tool_choice=NamedTool("get_weather")))
    assert planned.filler and planned.filler.at_once in phrases(language, "look_up")


def test_else_in_the_language_of_the_system_prompt(silent: FillerPlanner) -> None:
    system = Message("system", "Eres un agente telefónico amable.")
    planned = silent.plan(request("4711", system=system, tool_choice="required"))
    assert planned.filler and planned.filler.at_once in phrases("es", "waiting")


def test_a_sentence_in_the_script_of_the_callers_last_words(planner: FillerPlanner) -> None:
    hindi = planner.plan(request("मौसम कैसा है?")).sentence
    assert accepts(f"root ::= filler\n{hindi}\n", "मैं अभी देखती हूँ।")
    assert not accepts(f"root ::= filler\n{hindi}\n", "Let me check that for you.")
    assert planner.plan(request("मौसम कैसा है?", "किस शहर में?", "In Pune, please")).sentence != hindi


def test_phrases_of_earlier_turns_are_not_said_again(silent: FillerPlanner) -> None:
    said: list[str] = ["Hello there"]
    for _ in range(12):
        planned = silent.plan(request(*said, tool_choice="required"))
        assert planned.filler and planned.filler.at_once not in said
        said += [planned.filler.at_once, "And once more, please"]


def test_there_is_always_room_for_an_ending(planner: FillerPlanner) -> None:
    settings = FillerSettings()
    for language in PHRASES.table:
        text = PHRASES.table[language]["look_up"][0]
        planned = planner.plan(request(text, "Let me see that.", text))
        assert planned.filler and planned.filler.said == ("Let me see that.",)
        assert planned.filler.endings
        for ending in planned.filler.endings:
            assert planned.filler.characters_to_end + len(ending) <= settings.max_characters
            assert planned.filler.words_to_end + len(f"word{ending}".split()) - 1 <= settings.max_words


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_words": 7},
        {"max_characters": 50},
        {"min_words": 0},
        {"asks": "("},
        {"mode": "sometimes"},
        {"strategy": "model"},
    ],
    ids=str,
)
def test_settings_that_leave_no_room_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError):
        FillerSettings(**wrong)
