"""A request to what the engine takes."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from xgrammar import TokenizerInfo

from server.prompt.constraint import Constraints
from server.prompt.encode import REMEMBERED, Encoder
from server.prompt.filler import FillerPlanner
from server.prompt.render import Renderer
from server.prompt.sampling import sampling_of
from server.prompt.shared import SharedPrompts
from server.prompt.template import ChatTemplate
from server.prompt.window import Overflow, Window
from server.protocol import ChatRequest, CompletionRequest
from server.records import CallGrammar, GrammarState, Prompt, Sampling
from server.settings import FillerSettings

_TAIL = 64  # characters: longer than any tag that a template leaves open


class PromptBuilder:
    """Synchronous and thread-safe; a prompt of 32k tokens takes tens of milliseconds.

    token_bytes: exact bytes of each token, by id.
    special_tokens: as they are written.
    chat_template: Jinja source.
    remember: MiB for the ids of earlier texts; grammars get half as much.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: ChatTemplate,
        window: Window,
        shared_prompts: Sequence[str] = (),
        filler: FillerSettings | None = None,
        remember: float = REMEMBERED,
    ) -> None:
        self.tokenizer = tokenizer
        self.token_bytes: Sequence[bytes] = tuple(TokenizerInfo.from_huggingface(tokenizer).decoded_vocab)
        self.special_tokens = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        self.chat_template = template.source
        self._renderer = Renderer(template)
        self._encoder = Encoder(tokenizer, remember)
        self._kept = int(remember * 2**20 / 4)  # characters of grammars, in each of two caches
        self._constraints = Constraints(kept=self._kept)
        self._window = window
        self._shared = SharedPrompts(shared_prompts, self._renderer, self._encoder)
        self._filler = FillerPlanner(filler or FillerSettings())

    def speaking(self, calls: CallGrammar | None, thought: tuple[str, str] | None) -> "PromptBuilder":
        """The same for a model that writes calls so, and its thoughts between these tags if its template knows them."""
        builder = copy(self)
        known = thought if thought and thought[0] in self.chat_template else None
        builder._constraints = Constraints(calls, known, self._kept)
        builder._filler = self._filler.speaking(calls is not None)
        return builder

    def chat(self, request: ChatRequest, owner: str | None = None) -> Prompt:
        """owner: whose conversation it is; see `Encoder.rendered`.

        Raises:
            InvalidRequest: the template refuses the conversation, or no grammar can be made of the schema.
            ContextLengthExceeded: over the window.
        """
        seams = self._encoder.seams()
        text = self._renderer.render(request.messages, request.tools, seams)
        self._window.screen(text, self._encoder.count, request.output_limit, ("messages",))
        planned = self._filler.plan(request)
        grammar = self._constraints.constraint_of(request, text, planned.sentence)
        prompt = self._prompt(request, self._encoder.rendered(text, seams, owner), ("messages",), grammar)
        return replace(prompt, tail=text[-_TAIL:], filler=planned.filler, spoken=self._filler.spoken(request))

    def warm(self, request: ChatRequest, owner: str | None = None) -> tuple[Prompt, GrammarState]:
        """What the next turn of a conversation has in common with this one, and its grammar.

        Raises:
            InvalidRequest, ContextLengthExceeded: as `chat` does.
        """
        seams = self._encoder.seams()
        said = self._renderer.render(request.messages, request.tools, seams)
        known = self._constraints.knows(request, said, self._filler.plan(request).sentence)
        asked = self.chat(request, owner)
        state: GrammarState = "none" if asked.grammar is None else "cached" if known else "compiled"
        text = self._renderer.render(request.messages, request.tools, seams, prompted=False)
        token_ids = self._encoder.rendered(text, seams, owner)
        shared = self._shared.length(token_ids)
        return replace(asked, token_ids=token_ids, sampling=Sampling(max_tokens=1), shared_tokens=shared), state

    def completion(self, request: CompletionRequest) -> Prompt:
        """
        Raises:
            ContextLengthExceeded: over the window.
        """
        self._window.screen(request.prompt, self._encoder.count, request.output_limit, ("prompt",))
        return self._prompt(request, self._encoder.raw(request.prompt), ("prompt",), None)

    def _prompt(
        self, request: ChatRequest | CompletionRequest, token_ids: list[int], path: tuple[str, ...], grammar: str | None
    ) -> Prompt:
        max_tokens = self._window.room(len(token_ids), request.output_limit, path, request.output_path)
        shared = self._shared.length(token_ids)
        return Prompt(token_ids, sampling_of(request, max_tokens), grammar, shared_tokens=shared)


def load_prompt_builder(
    model: str | Path,
    *,
    context_window: int,
    overflow: Overflow = "refuse",
    chat_template: Path | None = None,
    template_kwargs: Mapping[str, object] | None = None,
    revision: str | None = None,
    shared_prompts: Sequence[str] = (),
    filler: FillerSettings | None = None,
    remember: float = REMEMBERED,
) -> PromptBuilder:
    """Tokenizer and chat template of a model folder or hub id.

    chat_template: a file in place of the model's own template.
    template_kwargs: further variables of the template.
    shared_prompts: system messages that are nobody's secret; see `Prompt.shared_tokens`.
    filler: words before a tool call.
    remember: MiB; see `PromptBuilder`.

    Raises:
        ValueError: the model has no fast tokenizer, or no chat template.
        SettingsError: this template does not take a shared prompt.
        OSError: a file is missing.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(model), revision=revision)
    source = chat_template.read_text(encoding="utf-8") if chat_template else None
    template = ChatTemplate(tokenizer, source, template_kwargs)
    return PromptBuilder(tokenizer, template, Window(context_window, overflow), shared_prompts, filler, remember)
