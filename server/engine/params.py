"""vLLM's parameters, without its second look at a grammar that it has found to be one.

It reads the grammar of every request in the event loop: that of a sentence before a call holds up all streams for five
milliseconds, at every turn.
"""

from collections import OrderedDict
from typing import Any

from vllm.sampling_params import SamplingParams

KNOWN = 256  # grammars; conversations have few, and ask for the same ones at every turn
ROOM = 2**20  # characters of all of them


class Params(SamplingParams):
    """What the look decides, the backend, is remembered with the grammar. A process has one engine, so one memory."""

    def _validate_structured_outputs(self, *args: Any, **kwargs: Any) -> None:
        asked = self.structured_outputs
        grammar = asked.grammar if asked else None
        if asked is None or grammar is None:
            super()._validate_structured_outputs(*args, **kwargs)
            return
        if grammar in _found:
            _found.move_to_end(grammar)
            asked._backend, asked._backend_was_auto = _found[grammar]
            return
        super()._validate_structured_outputs(*args, **kwargs)
        _found[grammar] = asked._backend, asked._backend_was_auto
        while len(_found) > KNOWN or sum(map(len, _found)) > ROOM:
            _found.popitem(last=False)


_found: OrderedDict[str, tuple[str | None, bool]] = OrderedDict()
