"""Whether the engine will be able to compile a grammar, found out before it has to."""

from xgrammar import GrammarCompiler, TokenizerInfo, VocabType

from server.prompt.kept import Compilable
from server.prompt.patterns import cost_within
from server.prompt.schema import Fault, SchemaError

_CACHE = 2**20  # bytes
_PATTERNS = 4  # bytes that take as long as a unit of a pattern's cost does


class Trial:
    """A compiler for a vocabulary of bytes: it fails where the engine's would, in a fraction of the time.

    With a cache as the engine's has one: what cannot be cached cannot be compiled.
    """

    def __init__(self) -> None:
        vocabulary = [bytes([byte]) for byte in range(256)] + [b"<end>"]
        info = TokenizerInfo(vocabulary, vocab_type=VocabType.RAW, stop_token_ids=[256])
        self._compiler = GrammarCompiler(info, max_threads=1, cache_limit_bytes=_CACHE)

    def passed(self, grammar: str) -> Compilable:
        """
        Raises:
            SchemaError: it cannot be compiled.
        """
        try:
            compiled = self._compiler.compile_grammar(grammar)
        except RuntimeError:
            raise SchemaError([Fault((), "the schema makes a grammar that cannot be compiled")]) from None
        return Compilable(grammar, compiled.memory_size_bytes + _PATTERNS * cost_within(grammar))
