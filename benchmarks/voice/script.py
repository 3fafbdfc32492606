"""What is said: the same seed gives the same calls, to whatever server."""

import random
from dataclasses import dataclass
from typing import Any

from benchmarks.voice.profiles import Profile, Range

WORDS = """
account address agent answer appointment available balance bill booking call cancel change charge check city
confirm contract customer date delay delivery deposit detail discount document email evening explain fee find
flight form help hour invoice issue later letter line list manager meeting message minute mobile money month
morning name number offer office open order parcel passport payment phone place plan please policy price problem
question receipt refund repair reply reserve return room safe service ship sign soon store street system table
team ticket time today tomorrow train transfer travel update visit wait week window write year
""".split()  # noqa: SIM905 - ninety lines of one word each are no better
TOOLS = ("find_order", "check_balance", "book_appointment", "cancel_booking", "track_parcel", "open_ticket")


@dataclass(frozen=True, slots=True)
class Turn:
    """think: seconds of silence before it. tool: the name of what it needs. barge_in: seconds after the first words."""

    said: str
    think: float
    answer: int
    tool: str | None
    barge_in: float | None


@dataclass(frozen=True, slots=True)
class Script:
    """One call."""

    number: int
    tenant: int
    system: str
    tools: tuple[dict[str, Any], ...]
    turns: tuple[Turn, ...]


def script(profile: Profile, seed: int, number: int) -> Script:
    """The call of that number. Calls of one tenant have system prompt and tools in common, and nothing else."""
    chance = random.Random(f"{seed} {number}")
    tenant = chance.randrange(profile.tenants)
    tools = tuple(_tool(name) for name in TOOLS[: profile.tools]) if profile.tool_turns else ()
    turns = tuple(_turn(profile, chance, number, index) for index in range(_whole(chance, profile.turns)))
    return Script(number, tenant, _system(profile, seed, tenant), tools, turns)


def _system(profile: Profile, seed: int, tenant: int) -> str:
    chance = random.Random(f"{seed} tenant {tenant}")
    return (
        f"You are the voice agent of company {tenant}. Answer in one sentence. {_words(chance, profile.system_words)}."
    )


def _turn(profile: Profile, chance: random.Random, number: int, index: int) -> Turn:
    greeting = f"Hello, this is caller {number}. " if index == 0 else ""
    said = greeting + _words(chance, _whole(chance, profile.user_words)) + "?"
    tool = chance.choice(TOOLS[: profile.tools]) if chance.random() < profile.tool_turns else None
    interrupts = chance.random() < profile.barge_ins
    barge_in = chance.uniform(*profile.barge_in_after)  # drawn in any case: shares can be changed without new words
    think = chance.uniform(*profile.think)
    return Turn(said, think, _whole(chance, profile.answer), tool, barge_in if interrupts else None)


def _tool(name: str) -> dict[str, Any]:
    """Arguments of bounded length, so that a call of a model that knows nothing ends as well."""
    subject = name.split("_")[1]
    properties = {
        "reference": {"type": "integer", "minimum": 1, "maximum": 9999, "description": f"The number of the {subject}."},
        "urgent": {"type": "boolean", "description": "Whether the caller is in a hurry."},
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": ["reference", "urgent"],
        "additionalProperties": False,
    }
    words = name.replace("_", " ")
    return {"type": "function", "function": {"name": name, "description": f"To {words}.", "parameters": parameters}}


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(count))


def _whole(chance: random.Random, bounds: Range) -> int:
    return chance.randint(int(bounds[0]), int(bounds[1]))
