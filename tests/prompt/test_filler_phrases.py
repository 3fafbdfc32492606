"""The table of phrases: complete, in each language's own script, short enough, and never the same one twice."""

import pytest

from server.nano.train.corpus.languages import GREETINGS
from server.prompt.filler.languages import Languages
from server.prompt.filler.phrases import KINDS, bare, read_phrases
from server.prompt.filler.scripts import BY_NAME, LATIN, script_of
from server.prompt.filler.tool_words import kind_of

PHRASES = read_phrases()
SCRIPTS = PHRASES.scripts
LANGUAGES = pytest.mark.parametrize("language", PHRASES.table)

OTHER_SCRIPTS = {
    **dict.fromkeys(("hi", "mr", "ne"), "devanagari"),
    **dict.fromkeys(("ar", "ur", "fa"), "arabic"),
    **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk", "mn", "kk"), "cyrillic"),
    **dict.fromkeys(("zh-CN", "zh-TW"), "han"),
    **{"bn": "bengali", "ta": "tamil", "te": "telugu", "gu": "gujarati", "kn": "kannada", "ml": "malayalam"},
    **{"pa": "gurmukhi", "or": "odia", "el": "greek", "he": "hebrew", "ja": "japanese", "ko": "hangul"},
    **{"th": "thai", "my": "burmese", "km": "khmer", "lo": "lao", "si": "sinhala", "am": "ethiopic"},
}


def all_of(language: str) -> list[str]:
    return [phrase for kind in KINDS for phrase in PHRASES.table[language][kind]]


def test_the_languages_are_those_of_the_contract() -> None:
    assert PHRASES.table.keys() == GREETINGS.keys()
    assert len(PHRASES.table) == 70


@LANGUAGES
def test_at_least_four_phrases_of_each_kind_and_all_different(language: str) -> None:
    assert all(len(PHRASES.table[language][kind]) >= 4 for kind in KINDS)
    bodies = [bare(phrase) for phrase in all_of(language)]
    assert [body for body in bodies if sum(body in other for other in bodies) > 1] == []


@LANGUAGES
def test_every_phrase_is_in_the_languages_own_script(language: str) -> None:
    script = BY_NAME[OTHER_SCRIPTS.get(language, "latin")]
    assert SCRIPTS[language] is script
    for phrase in all_of(language):
        letters = sum(character.isalpha() for character in phrase)
        assert script.count(phrase) >= letters
        assert script is LATIN or LATIN.count(phrase) == 0


@LANGUAGES
def test_every_phrase_ends_with_its_scripts_stop_and_is_short(language: str) -> None:
    for phrase in all_of(language):
        assert phrase[-1] in SCRIPTS[language].stops
        assert not set(phrase[:-1]) & set(SCRIPTS[language].stops)
        assert len(phrase) <= 50
        assert SCRIPTS[language].word or 3 <= len(phrase.split()) <= 8


@LANGUAGES
def test_no_phrase_is_said_twice_in_a_conversation(language: str) -> None:
    said: list[str] = []
    for turn in range(len(all_of(language))):
        said.append(PHRASES.choose(language, KINDS[turn % 3], said, salt=str(turn)))
    assert len(set(said)) == len(said)
    assert set(said) == set(all_of(language))


@LANGUAGES
def test_when_all_are_said_two_come_in_one_and_then_the_oldest_of_the_kind(language: str) -> None:
    said = all_of(language)
    while (phrase := PHRASES.choose(language, "look_up", said, "")) not in PHRASES.table[language]["look_up"]:
        assert phrase not in said
        assert phrase[-1] in SCRIPTS[language].stops and not set(phrase[:-1]) & set(SCRIPTS[language].stops)
        assert len(phrase) <= 100 and len(phrase.split()) <= 15
        said.append(phrase)
    assert len(said) >= 24
    assert said[12] == "One moment, please, let me check that for you." or language != "en"


def test_a_phrase_counts_as_said_inside_of_another_sentence() -> None:
    said = ["Let me see, one moment, please.", "JUST A SECOND, PLEASE!"]
    for salt in map(str, range(20)):
        assert PHRASES.choose("en", "waiting", said, salt) in {"Bear with me a moment.", "Give me a moment."}


def test_the_choice_varies_and_is_the_same_for_the_same_words() -> None:
    chosen = {salt: PHRASES.choose("en", "look_up", [], salt) for salt in map(str, range(40))}
    assert set(chosen.values()) == set(PHRASES.table["en"]["look_up"])
    assert all(PHRASES.choose("en", "look_up", [], salt) == phrase for salt, phrase in chosen.items())


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages(SCRIPTS)


@LANGUAGES
def test_a_greeting_tells_its_language(languages: Languages, language: str) -> None:
    assert languages.of([GREETINGS[language]]) == language


def test_what_tells_nothing_leaves_it_to_the_next_text(languages: Languages) -> None:
    assert languages.of([]) is None
    assert languages.of(["12345", "🙂"]) is None
    assert languages.of(["123", "¿En qué puedo ayudarle hoy?", "How can I help you?"]) == "es"


def test_one_unclear_word_in_a_script_of_its_own_is_not_taken_for_english(languages: Languages) -> None:
    assert SCRIPTS[languages.of(["да"]) or "en"].name == "cyrillic"
    assert languages.of(["ขอบคุณ"]) == "th"


def test_the_two_ways_to_write_chinese(languages: Languages) -> None:
    assert languages.of(["我的订单什么时候到？"]) == "zh-CN"
    assert languages.of(["我的訂單什麼時候到？"]) == "zh-TW"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hello", "latin"),
        ("Mumbai में मौसम कैसा है?", "devanagari"),
        ("東京の天気は？", "japanese"),
        ("东京天气", "han"),
        ("ワイファイ", "japanese"),
        ("안녕 OK", "hangul"),
    ],
)
def test_the_script_of_a_text(text: str, name: str) -> None:
    assert script_of(["42", text]) is BY_NAME[name]


@pytest.mark.parametrize(
    ("name", "description", "kind"),
    [
        ("get_weather", None, "look_up"),
        ("checkBalance", None, "look_up"),
        ("search", None, "look_up"),
        ("book_table", None, "action"),
        ("transferMoney", "Looks nothing up.", "action"),
        ("crm_v2", "Cancels an order.", "action"),
        ("kalo_fit", "Looks up the weather.", "look_up"),
        ("kalo_fit", "The customer's thing.", "waiting"),
        ("kalo_fit", None, "waiting"),
    ],
)
def test_what_a_tool_does(name: str, description: str | None, kind: str) -> None:
    assert kind_of(name, description) == kind
