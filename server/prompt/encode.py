"""Text to token ids.

What a caller sent never becomes an added token: he cannot open a system turn. Otherwise the ids are exactly those that
the tokenizer gives. Thread-safe: padding and truncation, the mutable state of a fast tokenizer, are never touched.

A tokenizer reads what stands between two added tokens by itself, so its ids can be kept: one more turn of a
conversation costs its own tokens, and those before it a look each.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import chain, pairwise, takewhile
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from server.errors import Detail, InvalidRequest
from server.prompt.markers import Marker, Markers, Seams
from server.prompt.remembered import Ids, Remembered

JsonObject = dict[str, Any]

REMEMBERED = 64.0  # MiB
_FIRST, _LATER = range(2)  # places of a stretch


class Encoder:
    """One model's tokenizer. `reserved`: ids that no text of a caller becomes.

    remember: MiB that may be spent on the ids of earlier texts.

    Raises:
        ValueError: the tokenizer is not a fast one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, remember: float = REMEMBERED) -> None:
        if not tokenizer.is_fast:
            raise ValueError(f"The tokenizer of {tokenizer.name_or_path} has no tokenizer.json, which is needed here.")
        state = {**json.loads(tokenizer.backend_tokenizer.to_str()), "truncation": None, "padding": None}
        self.markers = Markers(_markers(state))
        self.reserved = self.markers.token_ids - {tokenizer.unk_token_id}  # unknown characters may become unknown
        self._full = _load(state)
        self._plain = _load(_without_markers(state))
        self._plain_later = _load(_without_first_space(_without_markers(state)))
        self._remembered = Remembered(int(remember * 2**20))
        self._begin = _begin(self._full)

    def seams(self) -> Seams:
        """To sew the strings of one request with."""
        return Seams(self.markers)

    def rendered(self, text: str, seams: Seams, owner: str | None = None) -> list[int]:
        """Ids of a rendered template, whose own markers become their tokens. No BOS but the template's.

        owner: whose text it is; nobody else is served from what was kept of it.

        Raises:
            InvalidRequest: half of a surrogate pair is no text.
        """
        ids: list[int] = []
        for stretch in self._stretches(text, seams, owner):
            ids += stretch  # a copy of memory: a chain of iterators would take ten times as long
        return ids

    def raw(self, text: str) -> list[int]:
        """Ids of a caller's bare text, markers as plain text, after what the tokenizer puts first (BOS).

        Raises:
            InvalidRequest: half of a surrogate pair is no text.
        """
        return self._begin + self._plain_ids(self._plain, text)

    def count(self, text: str) -> int:
        """Tokens of a text: markers count as one, whoever wrote them."""
        return len(_ids(self._full, text))

    def _stretches(self, text: str, seams: Seams, owner: str | None) -> Iterator[Ids]:
        pieces = [None, *seams.split(text), None]
        place, read = _FIRST, partial(self._plain_ids, self._plain)
        for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
            if isinstance(piece, Marker):
                yield (piece.token_id,)
                place, read = _LATER, partial(self._plain_ids, self._plain_later)
            elif piece:
                yield self._remembered.get(owner, _left_by(before, piece, after), place, read)

    def _plain_ids(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """A vocabulary may hold a marker as an ordinary piece too; then the text is cut inside of it and read again."""
        ids = _ids(tokenizer, text)
        cuts = [] if self.reserved.isdisjoint(ids) else self._inside_markers(tokenizer, text)
        if not cuts:
            return ids
        first, *others = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
        later = (self._plain_ids(self._plain_later, other) for other in others)
        return [*self._plain_ids(tokenizer, first), *chain.from_iterable(later)]

    def _inside_markers(self, tokenizer: Tokenizer, text: str) -> list[int]:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        tokens = zip(encoding.ids, encoding.offsets, strict=True)
        return [start + 1 for token_id, (start, end) in tokens if token_id in self.reserved and end - start > 1]


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        return list(tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids)
    except TypeError:
        raise InvalidRequest.of([Detail("custom", "Half of a surrogate pair is no text")]) from None


def _load(state: JsonObject) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(state))


def _begin(tokenizer: Tokenizer) -> list[int]:
    encoding = tokenizer.encode("a", add_special_tokens=True)
    flags = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    return [token_id for token_id, added in takewhile(lambda flag: flag[1], flags)]


def _markers(state: JsonObject) -> Iterator[Marker]:
    for token in state["added_tokens"]:
        if not _is_blank(token):
            flags = {name: token[name] for name in ("lstrip", "rstrip", "single_word")}
            yield Marker(token["content"], token["id"], **flags)


def _is_blank(token: JsonObject) -> bool:
    """Some vocabularies add runs of white space: those open no turn, and stand in every caller's text."""
    return not token["content"].strip()


def _without_markers(state: JsonObject) -> JsonObject:
    """The blank ones stay. Added tokens get their ids by their order, so a marker may leave a placeholder."""
    if not any(map(_is_blank, state["added_tokens"])):
        return {**state, "added_tokens": []}
    vocabulary = _load({**state, "added_tokens": []}).get_vocab(with_added_tokens=False)
    kept = [token for token in state["added_tokens"] if _is_blank(token) or token["content"] not in vocabulary]
    return {**state, "added_tokens": [token if _is_blank(token) else _placeholder(token) for token in kept]}


def _placeholder(token: JsonObject) -> JsonObject:
    return {**token, "content": f"\ufdd0\ufddf\ufdd0{token['id']}\ufdef", "normalized": False}


def _without_first_space(state: JsonObject) -> JsonObject:
    """For what does not stand first: some tokenizers put a space before the text as a whole, not before parts."""

    def later(node: JsonObject) -> JsonObject:
        return {**node, "prepend_scheme": "never"} if node.get("prepend_scheme") == "first" else node

    return dict(json.loads(json.dumps(state), object_hook=later))


def _left_by(before: Marker | str | None, text: str, after: Marker | str | None) -> str:
    """The text without the white space that the markers around it swallow."""
    if isinstance(before, Marker) and before.rstrip:
        text = text.lstrip()
    return text.rstrip() if isinstance(after, Marker) and after.lstrip else text
