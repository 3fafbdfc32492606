"""The grammar of a whole answer: a thought, then words, calls or JSON, in whatever order the request allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.prompt.rules import Rules, free, literal, read, text_of
from server.records import CallGrammar


@dataclass(frozen=True, slots=True)
class Thought:
    """The tags around reasoning at the head of an answer. opened: the prompt has the first of them already."""

    opening: str
    closing: str
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """What may be called.

    arguments: a grammar by the name of the tool, as `arguments_grammar` makes them.
    forced: the answer is a call, with or without words before it.
    single: one call and no more.
    """

    form: CallGrammar
    arguments: Mapping[str, str]
    forced: bool = False
    single: bool = False


def turn_grammar(
    calls: Calls | None = None,
    answer: str | None = None,
    sentence: str | None = None,
    thought: Thought | None = None,
    never: Iterable[str] = (),
) -> str:
    """EBNF of the whole output; its first rule is `root`.

    answer: a grammar, root `root`, of an answer without calls, which otherwise is free text.
    sentence: a grammar, root `filler`, one rule a line, of the words before the calls; other rules `filler_…`.
        An answer without calls is then as free as before; without a sentence, words before a call are free.
    never: what does not occur in free text.
    """
    rules = dict(_call_rules(calls)) if calls else {}
    rules |= read(answer, "answer_") if answer else {}
    rules |= read(sentence, "") if sentence else {}
    barred = [*never, *([thought.opening] if thought else [])]
    if calls and not (calls.forced or answer or sentence):
        turn = ["speech"]
        rules["speech"] = free(barred, {calls.form.trigger: "call_rest"})
    else:
        turn = [_spoken_calls(calls.form, sentence)] if calls else []
        turn += [] if calls and calls.forced else ["answer_root" if answer else "speech"]
        rules["speech"] = free([*barred, *([calls.form.trigger] if calls else [])])
    rules["turn"] = " | ".join(turn)
    rules["root"] = "turn"
    if thought and (thought.opened or not answer):  # JSON is not thought about, unless the prompt says so
        rules |= _thought_rules(thought)
    return text_of(rules)


def _spoken_calls(form: CallGrammar, sentence: str | None) -> str:
    words = [_constant(form.before_words), "filler", _constant(form.after_words)] if sentence else []
    return _sequence(*words, "calls")


def _call_rules(calls: Calls) -> Rules:
    form, rules = calls.form, dict[str, str]()
    for index, (name, grammar) in enumerate(calls.arguments.items()):
        prefix = f"call_{index}_"
        rules |= read(grammar, prefix)
        rules[f"call_{index}"] = _sequence(literal(name + form.middle), prefix + "root", _constant(form.end))
    rules["call_any"] = " | ".join(f"call_{index}" for index in range(len(calls.arguments)))
    more = "" if calls.single else f"({literal(form.separator + form.begin)} call_any)*"
    rules["call_end"] = _sequence("call_any", more, _constant(form.closing))
    begin = form.opening + form.begin
    rules["calls"] = _sequence(_constant(begin), "call_end")
    rules["call_rest"] = _sequence(_constant(begin.removeprefix(form.trigger)), "call_end")
    return rules


def _thought_rules(thought: Thought) -> Rules:
    end = _sequence("thought_text", literal(thought.closing), r'"\n"{0,2}')
    whole = end if thought.opened else f"({_sequence(literal(thought.opening), end)})?"
    return {"thought_text": free([thought.closing]), "root": f"{whole} turn"}


def _constant(text: str) -> str:
    return literal(text) if text else ""


def _sequence(*parts: str) -> str:
    return " ".join(filter(None, parts))
