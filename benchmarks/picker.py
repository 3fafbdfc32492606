"""A stand-in for the scraper of an inference gateway's endpoint picker, which asks each replica every 50 ms.

As the pickers of the Gateway API Inference Extension and of llm-d do it: GET /metrics on the port that serves, without
a key, on one connection; of each family the first series counts, so there must be one alone.

python -m benchmarks.picker --url http://127.0.0.1:8000 --seconds 10
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

RATE = 20.0  # per second: the pickers' default tick is 50 ms
PATIENCE = 1.0  # seconds that a picker waits for a page
GAUGES = {
    "waiting": "vllm:num_requests_waiting",
    "running": "vllm:num_requests_running",
    "kv_cache": "vllm:kv_cache_usage_perc",
}
SIZES = "vllm:cache_config_info"


@dataclass(frozen=True, slots=True)
class Signals:
    """What calls are routed by. kv_cache: from 0 to 1. block_size: tokens; blocks: of the cache."""

    waiting: float
    running: float
    kv_cache: float
    block_size: int
    blocks: int


def signals(page: str) -> Signals:
    """
    Raises:
        ValueError: a family is missing, or has more than one series.
    """
    figures = {name: float(_only(page, family).rsplit(" ", 1)[1]) for name, family in GAUGES.items()}
    sizes = _only(page, SIZES)
    return Signals(**figures, block_size=_label(sizes, "block_size"), blocks=_label(sizes, "num_gpu_blocks"))


def _only(page: str, family: str) -> str:
    found = [line for line in page.splitlines() if line.startswith((family + "{", family + " "))]
    if len(found) != 1:
        raise ValueError(f"{family} has {len(found)} series")
    return found[0]


def _label(line: str, name: str) -> int:
    return int(line.split(f'{name}="', 1)[1].split('"', 1)[0])


@dataclass(slots=True)
class Scraped:
    """One replica's pages. times: ms until a page was there. failed: why, for those that were no page."""

    url: str
    times: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bytes: int = 0
    last: Signals | None = None
    most_running: float = 0.0


def scrape(found: Scraped, rate: float, seconds: float, begun: threading.Event) -> None:
    """A tick that is late is not made up for."""
    connection = http.client.HTTPConnection(urlsplit(found.url).netloc, timeout=PATIENCE)
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            page = answer.read()
            found.times.append(1000 * (time.monotonic() - now))
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            found.last = signals(page.decode())
            found.bytes, found.most_running = len(page), max(found.most_running, found.last.running)
        except (OSError, http.client.HTTPException, ValueError) as error:
            found.failed.append(repr(error))
            connection.close()
        begun.set()
        time.sleep(max(0.0, now + 1 / rate - time.monotonic()))


def summary(found: Scraped) -> dict[str, object]:
    ordered = sorted(found.times) or [0.0]
    times = {f"p{percent}": round(ordered[(len(ordered) - 1) * percent // 100], 2) for percent in (50, 99)}
    last = asdict(found.last) if found.last else None
    return {"url": found.url, "pages": len(found.times), "failed": len(found.failed), "why": found.failed[:3],
            "ms": times, "bytes": found.bytes, "last": last, "most_running": found.most_running}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", action="append", required=True, help="of a replica; more than once for several")
    parser.add_argument("--rate", type=float, default=RATE, help="pages of each in a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    replicas, begun = [Scraped(url) for url in options.url], threading.Event()
    threads = [
        threading.Thread(target=scrape, args=(one, options.rate, options.seconds, begun), daemon=True)
        for one in replicas
    ]
    for thread in threads:
        thread.start()
    begun.wait()
    print("begun", flush=True)  # whoever measures what scraping does may start now
    for thread in threads:
        thread.join()
    for one in replicas:
        print(json.dumps(summary(one)))
    return int(any(one.failed or not one.times for one in replicas))


if __name__ == "__main__":
    sys.exit(main())
