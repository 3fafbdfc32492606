"""Two servers behind Envoy that share their limits in Redis, and an endpoint picker's scraper on both.

python -m benchmarks.scale_out

Whether an account gets over both what its plan says and no more; and what streams notice of a page of metrics from each
every 50 ms. The status is 1 where a limit did not hold or a page did not come.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.scale_out.house import running
from benchmarks.scale_out.limits import line, minute
from benchmarks.scale_out.scrapes import scrapes


async def measure(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as house:
            held = [await minute(house), await line(house)]
            return all([*held, await scrapes(house, options.streams, options.rounds, options.seconds)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=12, help="six or more tell what is noise")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a window; two of them are a round")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
