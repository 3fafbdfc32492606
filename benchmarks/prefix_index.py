"""What an engine has in its prefix cache, rebuilt from its KV events by whoever routes calls to it.

vLLM names a block of tokens by a hash of its tokens, of the block before it and, for the first block of a private
prompt, of the account's salt. So the blocks are a forest: a prompt is looked up from its root, block after block.

For models with one kind of attention: events of further groups of blocks, and of blocks that are kept outside the GPU,
are left out.

Source: vllm/distributed/kv_events.py of vLLM 0.32; nothing of vLLM is imported, as a router would not have it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

Hash = bytes | int
Tokens = tuple[int, ...]


class BlockStored(msgspec.Struct, tag=True):
    """Blocks that follow one another after a parent; None: at the root.

    token_ids: of all of them. extra_keys: for each what its hash holds beside the tokens, the salt among it.
    """

    block_hashes: list[Hash]
    parent_block_hash: Hash | None
    token_ids: list[int]
    block_size: int
    medium: str | None = None
    extra_keys: list[list[Any] | None] | None = None
    group_idx: int | None = None


class BlockRemoved(msgspec.Struct, tag=True):
    block_hashes: list[Hash]
    medium: str | None = None
    group_idx: int | None = None


class AllBlocksCleared(msgspec.Struct, tag=True):
    pass


class Batch(msgspec.Struct, array_like=True):
    """What one step of the scheduler changed. ts: seconds since the epoch."""

    ts: float
    events: list[BlockStored | BlockRemoved | AllBlocksCleared]


decode_batch = msgspec.msgpack.Decoder(Batch).decode


@dataclass(frozen=True, slots=True)
class Block:
    parent: Hash | None
    tokens: Tokens
    extra: tuple[Any, ...]


class PrefixIndex:
    """The blocks that are known to be cached. What it finds was there, or is still on its way to it.

    Two copies of one block can be cached, by calls that were prefilled side by side. The event that one of them was
    dropped is taken for both, so that the index may know less than the engine, until the block is stored again.
    """

    def __init__(self) -> None:
        self.block_size = 0  # tokens; 0 until the first block is known
        self._blocks: dict[Hash, Block] = {}
        self._children: defaultdict[tuple[Hash | None, Tokens], set[Hash]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._blocks)

    def apply(self, batch: Batch) -> None:
        for event in batch.events:
            if isinstance(event, AllBlocksCleared):
                self.clear()
            elif event.medium in (None, "GPU") and not event.group_idx:
                self._store(event) if isinstance(event, BlockStored) else self._remove(event)

    def clear(self) -> None:
        self._blocks.clear()
        self._children.clear()

    def cached_tokens(self, token_ids: Sequence[int], salt: str | None = None) -> int:
        """How many tokens of a prompt need not be computed: whole blocks, and never the last token.

        salt: of the account that asks; None: of whichever account has most of it.
        """
        found: set[Hash | None] = {None}
        size, known = self.block_size, 0
        while size and known + size < len(token_ids):
            tokens = tuple(token_ids[known : known + size])
            following = {child for parent in found for child in self._children.get((parent, tokens), ())}
            found = {child for child in following if self._open_to(child, salt)}
            if not found:
                break
            known += size
        return known

    def salts(self) -> set[str]:
        """Of the accounts that have something in the cache."""
        return {key for block in self._blocks.values() for key in block.extra if isinstance(key, str)}

    def _open_to(self, block: Hash, salt: str | None) -> bool:
        extra = self._blocks[block].extra
        return salt is None or not extra or salt in extra

    def _store(self, event: BlockStored) -> None:
        self.block_size = size = event.block_size
        extra_keys = event.extra_keys or [None] * len(event.block_hashes)
        parent = event.parent_block_hash
        for index, (name, extra) in enumerate(zip(event.block_hashes, extra_keys, strict=True)):
            tokens = tuple(event.token_ids[index * size : (index + 1) * size])
            self._blocks[name] = Block(parent, tokens, tuple(extra or ()))
            self._children[parent, tokens].add(name)
            parent = name

    def _remove(self, event: BlockRemoved) -> None:
        for name in event.block_hashes:
            if block := self._blocks.pop(name, None):
                siblings = self._children[block.parent, block.tokens]
                siblings.discard(name)
                if not siblings:
                    del self._children[block.parent, block.tokens]
