"""Does the time of a refusal tell what was wrong with a key? Keys of every kind, one after the other in random order.

python -m benchmarks.wrong_keys
"""

import random
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from server.admission.callers import KeyRing
from server.admission.commands import create_key
from server.admission.keyfile import parse_key_file
from server.admission.keys import new_key
from server.settings import AdmissionSettings

ACCOUNTS, ROUNDS = 100, 20_000


def kinds(right: str, revoked: str) -> dict[str, str]:
    """Of one length but for the last two."""
    return {
        "right": right,
        "last character wrong": right[:-1] + ("0" if right[-1] != "0" else "1"),
        "first character wrong": right[:16] + ("0" if right[16] != "0" else "1") + right[17:],
        "unknown id": new_key()[1],
        "revoked": revoked,
        "no key": "x" * len(right),
        "cut": right[:-10],
        "10 kB": right + "0" * 10_000,
    }


def main() -> None:
    plans = AdmissionSettings().plans
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.yaml"
        made = [create_key(path, account=f"a{i}", plan="standard", plans=plans)[0] for i in range(ACCOUNTS)]
        file = parse_key_file(path, path.read_bytes())
    gone = file.accounts["a1"]
    ended = gone.model_copy(update={"keys": tuple(k.model_copy(update={"revoked": k.created}) for k in gone.keys)})
    ring = KeyRing(file.model_copy(update={"accounts": {**file.accounts, "a1": ended}}), plans)
    presented = kinds(made[0], made[1])
    times: defaultdict[str, list[int]] = defaultdict(list)
    order = list(presented)
    for _ in range(ROUNDS):
        random.shuffle(order)
        for kind in order:
            started = time.perf_counter_ns()
            ring.find(presented[kind])
            times[kind].append(time.perf_counter_ns() - started)
    for kind in presented:
        cuts = statistics.quantiles(times[kind], n=100)
        print(f"{kind:22} median {cuts[49]:6.0f} ns  p25 {cuts[24]:6.0f}  p75 {cuts[74]:6.0f}")


if __name__ == "__main__":
    main()
