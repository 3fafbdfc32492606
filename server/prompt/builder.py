"""A request to what the engine takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from xgrammar import TokenizerInfo

from server.prompt.constraint import Constraints
from server.prompt.encode import Encoder
from server.prompt.render import Renderer
from server.prompt.sampling import sampling_of
from server.prompt.template import ChatTemplate
from server.prompt.window import Overflow, Window
from server.protocol import ChatRequest, CompletionRequest
from server.records import Prompt


class PromptBuilder:
    """Synchronous and thread-safe; a prompt of 32k tokens takes tens of milliseconds.

    token_bytes: exact bytes of each token, by id.
    chat_template: Jinja source.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: ChatTemplate, window: Window) -> None:
        self.tokenizer = tokenizer
        self.token_bytes: Sequence[bytes] = tuple(TokenizerInfo.from_huggingface(tokenizer).decoded_vocab)
        self.chat_template = template.source
        self._renderer = Renderer(template)
        self._encoder = Encoder(tokenizer)
        self._constraints = Constraints()
        self._window = window

    def chat(self, request: ChatRequest) -> Prompt:
        """
        Raises:
            InvalidRequest: the template refuses the conversation, or no grammar can be made of the schema.
            ContextLengthExceeded: over the window.
        """
        grammar = self._constraints.constraint_of(request)
        seams = self._encoder.seams()
        text = self._renderer.render(request.messages, request.tools, seams)
        self._window.screen(text, self._encoder.count, request.output_limit, ("messages",))
        return self._prompt(request, self._encoder.rendered(text, seams), ("messages",), grammar)

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
        return Prompt(token_ids, sampling_of(request, max_tokens), grammar)


def load_prompt_builder(
    model: str | Path,
    *,
    context_window: int,
    overflow: Overflow = "refuse",
    chat_template: Path | None = None,
    template_kwargs: Mapping[str, object] | None = None,
    revision: str | None = None,
) -> PromptBuilder:
    """Tokenizer and chat template of a model folder or hub id.

    chat_template: a file in place of the model's own template.
    template_kwargs: further variables of the template.

    Raises:
        ValueError: the model has no fast tokenizer, or no chat template.
        OSError: a file is missing.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(model), revision=revision)
    source = chat_template.read_text(encoding="utf-8") if chat_template else None
    template = ChatTemplate(tokenizer, source, template_kwargs)
    return PromptBuilder(tokenizer, template, Window(context_window, overflow))
