"""What the callers are like. A profile says everything that is not load."""

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """Ranges are drawn from evenly. Words are about 1.3 tokens of English; think times in seconds.

    tenants: different agents; the calls of one share its system prompt and its tools.
    tool_turns: share of turns that need a tool: the call, its result, and then the answer.
    barge_ins: share of turns that the caller interrupts, so many seconds (barge_in_after) after the first words.
    answer: tokens of an answer; when lengths are fixed, exactly so many.
    """

    name: str
    tenants: int
    system_words: int
    turns: Range
    think: Range
    user_words: Range
    answer: Range
    tool_turns: float = 0.25
    barge_ins: float = 0.1
    barge_in_after: Range = field(default=(0.1, 1.0))
    tools: int = 3


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("support", 8, 1200, turns=(4, 10), think=(2.0, 6.0), user_words=(6, 30), answer=(20, 60), tools=6),
        Profile(
            "booking", 20, 500, turns=(6, 14), think=(1.0, 4.0), user_words=(3, 15), answer=(12, 40), tool_turns=0.4
        ),
        Profile("chat", 2, 300, turns=(6, 12), think=(1.0, 3.0), user_words=(5, 25), answer=(20, 60), tool_turns=0.0),
        Profile("busy", 4, 400, turns=(3, 6), think=(0.1, 0.5), user_words=(5, 20), answer=(30, 30), barge_ins=0.0),
        Profile("small", 2, 120, turns=(2, 4), think=(0.1, 0.4), user_words=(4, 12), answer=(12, 24)),
        # Without tools no server has anything to hold back, so that it is speed alone that is compared.
        Profile(
            "small-talk", 2, 120, turns=(2, 4), think=(0.1, 0.4), user_words=(4, 12), answer=(12, 24), tool_turns=0.0
        ),
    )
}
