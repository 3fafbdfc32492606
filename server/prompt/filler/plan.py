"""Whether words are said before a call, and whose."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

from server.prompt.filler.asking import AskRule
from server.prompt.filler.languages import LAST_RESORT, Languages
from server.prompt.filler.phrases import KINDS, Kind, read_phrases, within
from server.prompt.filler.scripts import LATIN, script_of
from server.prompt.filler.sentence import Bounds, sentence_grammar
from server.prompt.filler.tool_words import kind_of
from server.protocol import ChatRequest, Message, NamedTool, Tool
from server.records import FillerPlan
from server.settings import FillerSettings

# Kept free in a sentence that is said a second time, for what sets it apart.
ENDING_WORDS, ENDING_CHARACTERS = 5, 30

# A sentence and the head of a call need about as many tokens; where there are fewer, words must not cost any.
ROOM = 64


@dataclass(frozen=True, slots=True)
class Planned:
    """filler: None where the turn is the model's own affair, as with OpenAI.

    sentence: the grammar of the words that the model has to say; None where it is not made to.
    """

    filler: FillerPlan | None = None
    sentence: str | None = None


class FillerPlanner:
    """What is decided once for a server. Thread-safe."""

    def __init__(self, settings: FillerSettings) -> None:
        self._settings = settings
        self._makes_speak = False
        self._rule = AskRule(settings.asks, settings.forbids, settings.shipped_wordings)
        self._phrases = read_phrases()
        self._scripts = self._phrases.scripts
        self._languages = Languages(self._scripts)
        self._bounds = Bounds(settings.min_words, settings.max_words, settings.max_characters)

    def speaking(self, makes_speak: bool) -> "FillerPlanner":
        """The same for a model whose way of writing calls is known, so that a grammar can ask for words before them."""
        planner = copy(self)
        planner._makes_speak = makes_speak
        return planner

    def plan(self, request: ChatRequest) -> Planned:
        """What is said before the first call of this turn."""
        if not request.tools or request.tool_choice == "none" or not self._acts(request):
            return Planned()
        said = _said(request.messages)
        if self._model_speaks(request):
            script = script_of(_spoken_last(request.messages)) or LATIN
            return Planned(self._continued(request, said), sentence_grammar(script, self._bounds))
        return Planned(self._phrased(request, said))

    def spoken(self, request: ChatRequest) -> bool:
        """Whether a system message says that the answers are spoken."""
        return self._rule.spoken(_contents(request.messages, "system"))

    def _acts(self, request: ChatRequest) -> bool:
        mode = request.filler.mode or self._settings.mode
        return mode == "always" or (mode == "auto" and self._rule.wanted(_contents(request.messages, "system")))

    def _model_speaks(self, request: ChatRequest) -> bool:
        """Unless something that the caller asked for could end the sentence, or would have no room beside it."""
        strategy = request.filler.strategy or self._settings.strategy
        limited = request.stop or request.stop_token_ids or request.allowed_token_ids or request.bad_words
        room = request.output_limit is None or request.output_limit >= ROOM
        json = request.response_format.kind != "text"
        return strategy == "grammar" and self._makes_speak and not limited and not json and room

    def _continued(self, request: ChatRequest, said: Sequence[str]) -> FillerPlan:
        return FillerPlan(
            said=tuple(said),
            endings=self._endings(self._language(request)) if said else (),
            words_to_end=self._bounds.max_words - ENDING_WORDS,
            characters_to_end=self._bounds.max_characters - ENDING_CHARACTERS,
        )

    def _phrased(self, request: ChatRequest, said: Sequence[str]) -> FillerPlan:
        language, salt = self._language(request), next(_contents(reversed(request.messages), "user"), "")
        words = {kind: self._phrases.choose(language, kind, said, salt) for kind in KINDS}
        kinds = {tool.name: kind_of(tool.name, tool.description) for tool in request.tools}
        if request.tool_choice == "auto":
            return FillerPlan(phrases={name: words[kind] for name, kind in kinds.items()})
        return FillerPlan(at_once=words[_common([kinds[tool.name] for tool in _callable(request)])])

    def _endings(self, language: str) -> tuple[str, ...]:
        """Phrases as the end of another sentence, those that only ask to wait first."""
        comma = self._scripts[language].comma
        listed = [phrase for kind in reversed(KINDS) for phrase in self._phrases.table[language][kind]]
        short = [phrase for phrase in listed if len(phrase.split()) <= ENDING_WORDS]
        endings = [comma + within(phrase) for phrase in short]
        return tuple(ending for ending in endings if len(ending) <= ENDING_CHARACTERS)

    def _language(self, request: ChatRequest) -> str:
        users = list(_contents(request.messages, "user"))
        heard = (users[-1:], [" ".join(users[-_TURNS:])], _contents(request.messages, "system"))
        return self._languages.of(text for texts in heard for text in texts) or LAST_RESORT


_TURNS = 4  # of the caller, read together where the last one does not tell its language


def _contents(messages: Iterable[Message], role: str) -> Iterator[str]:
    return (message.content for message in messages if message.role == role and message.content)


def _spoken_last(messages: Sequence[Message]) -> Iterator[str]:
    """The caller's words, the last ones first; then what the operator has written."""
    yield from _contents(reversed(messages), "user")
    yield from _contents(messages, "system")


def _said(messages: Sequence[Message]) -> list[str]:
    return list(_contents(messages, "assistant"))


def _callable(request: ChatRequest) -> Sequence[Tool]:
    choice = request.tool_choice
    return [tool for tool in request.tools if not isinstance(choice, NamedTool) or tool.name == choice.name]


def _common(kinds: Sequence[Kind]) -> Kind:
    """What is true of all of them."""
    return kinds[0] if len(set(kinds)) == 1 else "waiting"
