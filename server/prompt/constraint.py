"""What a request allows the model to say, as one grammar of the whole output."""

from collections.abc import Sequence
from itertools import takewhile

import orjson

from server.errors import Detail, InvalidRequest
from server.prompt.kept import Compilable, Kept
from server.prompt.keywords import SAYING, UNSUPPORTED, JsonObject
from server.prompt.relaxed import ANY_OBJECT, relaxed
from server.prompt.schema import Fault, SchemaError
from server.prompt.schema_grammar import arguments_grammar, json_grammar
from server.prompt.trial import Trial
from server.prompt.turn import Calls, Thought, turn_grammar
from server.protocol import ChatRequest, NamedTool, Tool
from server.records import CallGrammar

MAX_SCHEMAS = 2**18  # bytes of JSON, of all the tools of a request
MAX_COMPILED = 6 * 2**20  # bytes of their grammars, as `Compilable` measures them
_KEPT = 2**24  # characters of EBNF
_LISTED = 64  # faults in one answer
_LONGEST_STEP = 64  # characters of a name that is repeated to its caller in a path

_NOTHING = b'{"type":"object","additionalProperties":false}'
_NAMES_NONE: JsonObject = {"type": "object", "properties": {}, "required": []}
_FORMAT_PATH = ("response_format", "json_schema", "schema")

Path = tuple[str, ...]


class Constraints:
    """Grammars by what they are made of, so that what comes again is compiled once. Thread-safe.

    form: how the model writes calls; None: not known, so that calls are neither forced nor kept to their schemas.
    thought: the tags around what it thinks, if it does.
    kept: characters of grammars.
    """

    def __init__(
        self, form: CallGrammar | None = None, thought: tuple[str, str] | None = None, kept: int = _KEPT
    ) -> None:
        self._form = form
        self._thought = thought
        self._turns = Kept(kept)
        self._parts = Kept(kept)
        self._trial = Trial()

    def knows(self, request: ChatRequest, prompt: str, sentence: str | None = None) -> bool:
        """Whether the grammar of such a request is at hand."""
        return _key(request, self._thought_after(prompt), sentence) in self._turns

    def constraint_of(self, request: ChatRequest, prompt: str, sentence: str | None = None) -> str | None:
        """EBNF of the whole output; None where the model may say anything.

        prompt: the text that the model continues; it may end in the opening tag of a thought.
        sentence: what is said before a call; see `turn_grammar`.

        Raises:
            InvalidRequest: no faithful grammar can be made, or a call cannot be forced; with the path of each fault.
        """
        if forces_call(request) and self._form is None:
            message = "How this model writes calls is not known to the server, so that it cannot be made to call"
            raise InvalidRequest.of([Detail("custom", message, ("tool_choice",))])
        if request.response_format.kind == "text" and not self._bounds_calls(request, sentence):
            return None
        thought = self._thought_after(prompt)
        return self._turns.get(_key(request, thought, sentence), lambda: self._turn(request, thought, sentence)).text

    def _bounds_calls(self, request: ChatRequest, sentence: str | None) -> bool:
        """A model whose own form has no exact grammar keeps to it where nothing was promised."""
        if not request.tools or self._form is None:
            return False
        promised = request.tool_choice != "auto" or sentence or any(tool.strict for tool in request.tools)
        return self._form.in_json is None or bool(promised)

    def _thought_after(self, prompt: str) -> Thought | None:
        return Thought(*self._thought, prompt.rstrip().endswith(self._thought[0])) if self._thought else None

    def _turn(self, request: ChatRequest, thought: Thought | None, sentence: str | None) -> Compilable:
        return self._trial.passed(self._text(request, thought, sentence))

    def _text(self, request: ChatRequest, thought: Thought | None, sentence: str | None) -> str:
        form = self._form and (self._form.in_json or self._form) if request.tools else None
        if form is None or request.tool_choice == "none":
            never = (form.trigger,) if form else ()
            return turn_grammar(answer=self._answer(request), thought=thought, never=never)
        answer = self._answer(request)
        forced = forces_call(request)
        if answer and not forced and form.trigger.startswith("{"):
            message = "The calls of this model are JSON themselves; beside tools that it may leave alone, ask for text"
            raise InvalidRequest.of([Detail("custom", message, ("response_format", "type"))])
        single = forced or not request.parallel_tool_calls
        calls = Calls(form, self._arguments(request), forced, single)
        return turn_grammar(calls, answer, sentence, thought)

    def _answer(self, request: ChatRequest) -> str | None:
        form = request.response_format
        if form.kind == "text":
            return None
        schema = ANY_OBJECT if form.schema is None else orjson.dumps(form.schema)
        try:
            return self._parts.get(
                _packed("answer", schema, form.strict), lambda: self._trial.passed(json_grammar(schema, form.strict))
            ).text
        except SchemaError as error:
            raise InvalidRequest.of(_details(error.faults, _FORMAT_PATH)) from None

    def _arguments(self, request: ChatRequest) -> dict[str, str]:
        """By the name of the tool."""
        grammars, details = dict[str, str](), list[Detail]()
        forced, room, space = forces_call(request), MAX_SCHEMAS, MAX_COMPILED
        for index, tool in enumerate(request.tools):
            if isinstance(request.tool_choice, NamedTool) and tool.name != request.tool_choice.name:
                continue
            schema = _schema(tool)
            room -= len(schema)
            try:
                grammar = self._tool(schema if min(room, space) >= 0 else None, tool.strict, forced or tool.strict)
                space -= grammar.size
                grammars[tool.name] = grammar.text
            except SchemaError as error:
                details += _details(error.faults, ("tools", str(index), "function", "parameters"))
        if details:
            raise InvalidRequest.of(details[:_LISTED])
        return grammars

    def _tool(self, schema: bytes | None, strict: bool, exact: bool) -> Compilable:
        """schema: None where there is no room for it."""
        if schema is None and exact:
            raise SchemaError([Fault((), "the schemas of the tools before this one leave no room for it")])
        given = schema or ANY_OBJECT

        def grammar_of(part: bytes) -> Compilable:
            return self._trial.passed(arguments_grammar(part, strict))

        def make() -> Compilable:
            return grammar_of(given) if exact else relaxed(given, grammar_of)

        return self._parts.get(_packed("tool", given, strict, exact), make)


def forces_call(request: ChatRequest) -> bool:
    """Whether the answer has to be a call."""
    return request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool)


def _schema(tool: Tool) -> bytes:
    """What names no argument means that there are none, unless it allows some: so clients write it, and a small model
    that could say anything would."""
    parameters = tool.parameters or {}
    said = parameters.keys() & (SAYING | UNSUPPORTED.keys())
    silent = all(keyword in _NAMES_NONE and parameters[keyword] == _NAMES_NONE[keyword] for keyword in said)
    return _NOTHING if silent else orjson.dumps(parameters)


def _key(request: ChatRequest, thought: Thought | None, sentence: str | None) -> bytes:
    tools = [(tool.name, tool.strict, tool.parameters) for tool in request.tools]
    form, choice = request.response_format, request.tool_choice
    chosen = choice if isinstance(choice, str) else [choice.name]
    return orjson.dumps(
        (tools, chosen, request.parallel_tool_calls, (form.kind, form.strict, form.schema), thought, sentence)
    )


def _packed(kind: str, schema: bytes, *flags: bool) -> bytes:
    return orjson.dumps((kind, flags)) + schema


def _details(faults: Sequence[Fault], prefix: Path) -> list[Detail]:
    return [_detail(fault, prefix) for fault in faults[:_LISTED]]


def _detail(fault: Fault, prefix: Path) -> Detail:
    steps = takewhile(lambda step: len(step) <= _LONGEST_STEP, fault.path)
    return Detail("custom", fault.message, (*prefix, *steps))
