import json
import re
from collections import Counter
from itertools import pairwise

from server.nano import model_path
from server.nano.train.corpus import conversation
from server.nano.train.corpus.actions import talk
from server.nano.train.corpus.scenes import RULE
from server.nano.train.curriculum import COPYING_KEPT, LONG, MEDIUM, drill_share, longest
from server.nano.train.data import (
    EXACT,
    NAME_BEGINS,
    TURN_BEGINS,
    VALUE_BEGINS,
    WIDTH,
    WORDS,
    Encoder,
    batches,
    collate,
)

ENCODER = Encoder(model_path())
TRAIN = [conversation(number, drills=0.1) for number in range(400)]
HELD_OUT = [conversation(number, held_out=True) for number in range(400)]


def prompt_text(example, index):
    return json.dumps([example.tools, example.messages[:index]], ensure_ascii=False)


def test_a_number_always_gives_the_same_conversation():
    assert [conversation(number) for number in range(30)] == [conversation(number) for number in range(30)]
    assert conversation(1) != conversation(1, held_out=True)


def test_every_kind_and_language_occurs():
    kinds = Counter(kind for example in TRAIN for kind in example.kinds.values())
    assert set(kinds) == {"call", "result", "failed", "clarify", "no_tool", "small_talk", "json", "drill"}
    assert {example.language for example in TRAIN} == {"en", "hi", "es"}
    assert (
        max(
            len(example.messages[i]["tool_calls"]) for example in TRAIN for i, k in example.kinds.items() if k == "call"
        )
        > 1
    )


def test_names_in_held_out_calls_are_unseen_in_training():
    seen = {tool["function"]["name"] for example in TRAIN for tool in example.tools}
    assert not seen & {tool["function"]["name"] for example in HELD_OUT for tool in example.tools}


def test_arguments_are_complete_and_stand_in_the_prompt():
    for example in TRAIN + HELD_OUT:
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in example.tools}
        for index, message in enumerate(example.messages):
            for call in (call["function"] for call in message.get("tool_calls", ())):
                schema = offered[call["name"]]
                assert set(schema["required"]) <= set(call["arguments"]) <= set(schema["properties"])
                assert all(str(value) in prompt_text(example, index) for value in call["arguments"].values())


def test_facts_stand_in_the_prompt_and_in_the_answer():
    for example in TRAIN + HELD_OUT:
        for index, facts in example.facts.items():
            assert all(fact in prompt_text(example, index) for fact in facts)
            assert all(fact in (example.messages[index]["content"] or "") for fact in facts)


def test_a_filler_comes_exactly_where_it_is_asked_for():
    for example in TRAIN + HELD_OUT:
        for index, kind in example.kinds.items():
            content = example.messages[index]["content"]
            calls = "tool_calls" in example.messages[index]
            assert (content is not None) is (not calls or (kind == "call" and example.wants_filler))
            assert not calls or content is None or len(content.split()) <= 12


def test_who_speaks_on_the_phone_is_told_by_words_that_the_server_knows():
    for kind in ("voice", "plain"):
        table = talk()[kind]
        texts = [f"You are a {role}." for role in table["role"]] + [f"You {work} for Acme." for work in table["work"]]
        assert [RULE.wanted([text]) for text in texts] == [kind == "voice"] * len(texts)
    assert not RULE.wanted(talk()["persona"]["more"])


def test_no_slot_is_left_unfilled():
    contents = [message["content"] or "" for example in TRAIN + HELD_OUT for message in example.messages]
    assert not [content for content in contents if re.search(r"\{\w+\}", content)]


def test_exactly_what_the_assistant_says_is_marked():
    for example in TRAIN[:100]:
        encoded = ENCODER(example)
        said = ENCODER.tokenizer.decode([i for i, mine in zip(encoded.ids, encoded.weights, strict=True) if mine])
        answers = [m for m in example.messages if m["role"] == "assistant"]
        assert said.count("<|im_end|>") == len(answers)
        assert all((m["content"] or "") in said for m in answers)
        assert "<|im_start|>" not in said


def test_what_decides_counts_most_and_free_wording_least():
    example = next(example for example in TRAIN if example.wants_filler and "call" in example.kinds.values())
    encoded = ENCODER(example)
    weights = {}
    for before, token, weight in zip(encoded.ids, encoded.ids[1:], encoded.weights[1:], strict=False):
        if weight:
            weights.setdefault(ENCODER.tokenizer.decode([before]), set()).add(weight)
            weights.setdefault(f"is {ENCODER.tokenizer.decode([token])}", set()).add(weight)
    assert weights['{"name": "'] == {NAME_BEGINS}
    assert weights["is </tool_call>"] == {EXACT}
    assert WORDS in weights["is ."] and WORDS < EXACT < TURN_BEGINS < VALUE_BEGINS <= NAME_BEGINS


def test_json_counts_as_a_call_does():
    example = next(example for example in TRAIN if "json" in example.kinds.values())
    assert {0.0, EXACT, VALUE_BEGINS} <= set(ENCODER(example).weights)
    assert WORDS not in ENCODER(example).weights


def test_a_batch_predicts_each_marked_token_from_the_one_before_it():
    examples = [ENCODER(example) for example in TRAIN[:6]]
    batch = collate(examples, max(len(example.ids) for example in examples), pad=0)
    targets = [i for example in examples for i, said in zip(example.ids, example.weights, strict=True) if said]
    assert batch.targets.tolist() == targets
    assert batch.ids.flatten()[batch.positions + 1].tolist() == targets


def test_batches_are_bounded_and_can_be_resumed():
    def encode(number):
        return ENCODER(TRAIN[number % len(TRAIN)])

    stream = batches(encode, lambda number: MEDIUM, first=0, tokens=1024, pad=0)
    numbers, made = zip(*(next(stream) for _ in range(20)), strict=True)
    assert all(batch.ids.numel() <= 1024 and batch.ids.shape[1] <= MEDIUM for batch in made)
    assert all(batch.ids.shape[1] % WIDTH == 0 for batch in made)
    assert all(earlier <= later for earlier, later in pairwise(numbers))
    assert len({tuple(batch.ids.flatten().tolist()) for batch in made}) == len(made)


def test_the_curriculum_begins_with_copying_and_ends_with_conversations():
    shares = [drill_share(number) for number in range(0, 20_000, 500)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] == COPYING_KEPT
    lengths = [longest(number) for number in range(0, 100_000, 1000)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == LONG
