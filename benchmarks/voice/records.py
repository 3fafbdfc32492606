"""What one request came to, as its caller saw it."""

from dataclasses import asdict, dataclass, field
from typing import Any

OK = "ok"
BARGE_IN = "barge-in"
UNFINISHED = "unfinished"


@dataclass(slots=True)
class Request:
    """Times in milliseconds since it was sent, but for `at`: seconds since the run began.

    outcome: `ok`, `barge-in` (we hung up), or what went wrong; `unfinished`: the run had long been over.
    first: the first words or piece of a call. clause: the first clause that can be spoken. call: the name of a tool.
    pieces: when each piece of words or arguments came. tool: it had to call one. valid: its arguments are JSON.
    markup: there is some in the words, which a voice would read out; None where there are no words.
    calls: how many conversations were under way when it was sent. round: of those that its load was measured in.
    """

    number: int
    turn: int
    tenant: int
    at: float
    calls: int
    tool: bool
    outcome: str = ""
    first: float | None = None
    clause: float | None = None
    call: float | None = None
    end: float = 0.0
    pieces: list[float] = field(default_factory=list)
    valid: bool | None = None
    markup: bool | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    round: int = 0

    @property
    def gaps(self) -> list[float]:
        """Between one piece and the next: what a voice waits for."""
        return [later - earlier for earlier, later in zip(self.pieces, self.pieces[1:], strict=False)]

    @property
    def per_token(self) -> float | None:
        """From the first piece to the last, by token: the same however tokens are bundled into pieces."""
        if self.output_tokens < 2 or len(self.pieces) < 2:
            return None
        return (self.pieces[-1] - self.pieces[0]) / (self.output_tokens - 1)

    def row(self) -> dict[str, Any]:
        return {name: _rounded(value) for name, value in asdict(self).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    return [round(each, 2) for each in value] if isinstance(value, list) else value
