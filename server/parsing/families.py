"""Which models speak which language for calls. A new family is a module with its parser and a row here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from server.parsing import detection, dialects, grammar, tokens
from server.parsing.base import NewId, Parser
from server.parsing.deepseek import DeepSeek
from server.parsing.harmony import Harmony
from server.parsing.hermes import Hermes
from server.parsing.llama import Llama
from server.parsing.mistral import Mistral
from server.parsing.plain import SpeechOnly
from server.parsing.tagged import Tagged
from server.parsing.typed import Schema
from server.records import CallGrammar

Schemas = Mapping[str, Schema]
MakeCalls = Callable[[NewId, Schemas], Parser]


@dataclass(frozen=True, slots=True)
class Family:
    """calls: the parser for a turn that offers tools.

    speaks: whether a chat template is of this family.
    grammar: how a call is written; None where it cannot be prescribed.
    special_tokens: markers are special tokens, which the engine must therefore leave in the text; see `of_tokenizer`.
    thought: the tags around reasoning at the head of an answer; None where `calls` finds it, or there is none.
    """

    calls: MakeCalls
    speaks: Callable[[str], bool]
    grammar: CallGrammar | None = None
    special_tokens: bool = False
    thought: tuple[str, str] | None = tokens.THOUGHT

    def of_tokenizer(self, special: Iterable[str]) -> "Family":
        """The same, once the special tokens of the tokenizer are known: markers may be among them."""
        grammar = self.grammar
        call = grammar.opening + grammar.begin + grammar.middle + grammar.end + grammar.closing if grammar else ""
        markers = call + "".join(self.thought or ())
        return replace(self, special_tokens=self.special_tokens or any(token in markers for token in special))

    def opens_thought(self, prompt: str) -> bool:
        """Whether a prompt ends in the opening tag of a thought, so that the answer begins inside of it."""
        return self.thought is not None and prompt.rstrip().endswith(self.thought[0])


def _hermes(new_id: NewId, schemas: Schemas) -> Parser:
    return Hermes(tokens.CHATML, new_id)


def _plain(new_id: NewId, schemas: Schemas) -> Parser:
    """Markup of the commonest kind is not spoken even where none is expected."""
    return SpeechOnly(Hermes(tokens.CHATML, new_id))


def _qwen_coder(new_id: NewId, schemas: Schemas) -> Parser:
    return Tagged(dialects.QWEN, schemas, tokens.CHATML, new_id)


def _glm(new_id: NewId, schemas: Schemas) -> Parser:
    return Tagged(dialects.GLM, schemas, tokens.GLM, new_id)


def _llama(new_id: NewId, schemas: Schemas) -> Parser:
    return Llama(tokens.LLAMA, new_id)


def _mistral(new_id: NewId, schemas: Schemas) -> Parser:
    return Mistral(tokens.MISTRAL, new_id)


def _deepseek(new_id: NewId, schemas: Schemas) -> Parser:
    return DeepSeek(tokens.DEEPSEEK, new_id)


def _harmony(new_id: NewId, schemas: Schemas) -> Parser:
    return Harmony(tokens.HARMONY, new_id)


# The order is that of detection, the special before the general; the last one takes every template.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "hermes": Family(_hermes, detection.hermes, grammar.HERMES),
        "qwen3_coder": Family(_qwen_coder, detection.qwen_coder, grammar.QWEN_CODER),
        "glm45": Family(_glm, detection.glm, grammar.GLM),
        "gpt_oss": Family(_harmony, detection.harmony, grammar.HARMONY, special_tokens=True, thought=None),
        "deepseek_v3": Family(_deepseek, detection.deepseek_v3, grammar.DEEPSEEK_V3, special_tokens=True),
        "deepseek_v31": Family(_deepseek, detection.deepseek_v31, grammar.DEEPSEEK_V31, special_tokens=True),
        "mistral_array": Family(
            _mistral,
            detection.mistral_array,
            grammar.MISTRAL_ARRAY,
            special_tokens=True,
            thought=tokens.MISTRAL_THOUGHT,
        ),
        "mistral": Family(
            _mistral, detection.mistral, grammar.MISTRAL, special_tokens=True, thought=tokens.MISTRAL_THOUGHT
        ),
        "llama_pythonic": Family(_llama, detection.llama_pythonic, grammar.LLAMA_PYTHONIC, special_tokens=True),
        "llama_json": Family(_llama, detection.llama_json, grammar.LLAMA_JSON, special_tokens=True),
        "plain": Family(_plain, detection.anything),
    }
)
