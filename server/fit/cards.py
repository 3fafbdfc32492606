"""Graphics cards and how much memory a program finds on them."""

import re
import subprocess
from dataclasses import dataclass

from server.settings import SettingsError, nearest

MIB = 2**20
# As nvidia-smi reports it, in MiB: some less than the name on the box.
CARDS = {
    "l4": 23034, "a10": 23028, "a10g": 23028, "rtx3090": 24576, "rtx4090": 24564, "rtx5090": 32607,
    "a40": 46068, "l40": 46068, "l40s": 46068, "a6000": 49140, "a100": 81920, "h100": 81559, "h200": 143771,
}  # fmt: skip
SIZES = {24: 23028, 48: 46068, 80: 81559, 141: 143771}  # of a class of cards: the smallest of it


@dataclass(frozen=True, slots=True)
class Card:
    """memory: bytes."""

    name: str
    memory: int


def card_of(text: str) -> Card:
    """A name (`h200`), a class (`24gb`) or an exact size (`44GiB`).

    Raises:
        SettingsError: neither.
    """
    plain = re.sub(r"[\s_-]", "", text.lower())
    if plain in CARDS:
        return Card(plain.upper(), CARDS[plain] * MIB)
    size = re.fullmatch(r"(\d+(?:\.\d+)?)(gib|gb|g)?", plain)
    if not size:
        raise SettingsError(
            f"--gpu {text}: neither a card that is known nor a size such as 48gb{nearest(plain, CARDS)}"
        )
    number = float(size[1])
    if size[2] != "gib" and number in SIZES:
        return Card(f"{int(number)} GB card", SIZES[int(number)] * MIB)
    return Card(
        f"card of {size[1]} {'GiB' if size[2] == 'gib' else 'GB'}", int(number * (2**30 if size[2] == "gib" else 10**9))
    )


def present_card() -> Card | None:
    """The first card of this machine, if it has one."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
        name, memory = lines[0].rsplit(",", 1)
        return Card(name.strip(), int(memory) * MIB)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
