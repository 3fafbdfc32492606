"""Grammars without an engine: a model that writes one byte at a time, whichever the grammar allows."""

import random
from functools import cache

import xgrammar

END = 256  # the token after the bytes
_LIKELY = frozenset(b'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789"\\,}]. ')


@cache
def compiler() -> xgrammar.GrammarCompiler:
    vocabulary = [bytes([byte]) for byte in range(END)] + [b"<end>"]
    info = xgrammar.TokenizerInfo(vocabulary, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[END])
    return xgrammar.GrammarCompiler(info, cache_limit_bytes=2**26)


def accepts(grammar: str | None, text: str) -> bool:
    assert grammar is not None
    matcher = xgrammar.GrammarMatcher(compiler().compile_grammar(grammar))
    return bool(all(map(matcher.accept_token, text.encode())) and matcher.accept_token(END))


def walk(grammar: str | None, chance: random.Random, begun: str = "", most: int = 20_000) -> str:
    """A text that the grammar allows, from its beginning on; it ends every other time that it may."""
    assert grammar is not None
    matcher = xgrammar.GrammarMatcher(compiler().compile_grammar(grammar))
    bitmask = xgrammar.allocate_token_bitmask(1, END + 1)
    written = bytearray(begun.encode())
    assert all(map(matcher.accept_token, written))
    while len(written) < most:
        allowed = _allowed(matcher, bitmask)
        assert allowed, "a dead end"
        likely = [token for token in allowed if token in _LIKELY]
        ends = END in allowed and (len(allowed) == 1 or chance.random() < 0.5)
        token = END if ends else chance.choice(likely if likely and chance.random() < 0.8 else allowed)
        assert matcher.accept_token(token)
        if token == END:
            return written.decode()
        written.append(token)
    raise AssertionError(f"no end within {most} bytes")


def _allowed(matcher: xgrammar.GrammarMatcher, bitmask: object) -> list[int]:
    matcher.fill_next_token_bitmask(bitmask)
    words = bitmask[0].tolist()
    return [token for token in range(END + 1) if words[token // 32] >> (token % 32) & 1]
