"""Calls of which half hang up at a random moment: is every one in the ledger, and does it agree with the engine?

On SQLite and on PostgreSQL, each by a server of its own; both share their limits in Redis.

python -m benchmarks.ledger --requests 2000
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.accounts.crowd import ENGINE, crowd_books
from tests.accounts.fleet import Fleet, running_fleet


async def prove(fleet: Fleet, kind: str, name: str, requests: int) -> bool:
    started = time.monotonic()
    books = await crowd_books(fleet, name, f"crowd-{name}", requests)
    print(f"{kind}: {books.ledger['requests']} rows for {requests} requests in {time.monotonic() - started:.0f} s")
    print(f"  disconnects {books.disconnects}, errors {books.errors}, leases left {books.leases}")
    for figure in ENGINE:
        print(f"  {figure:17} ledger {books.ledger[figure]:>9,}  engine {books.engine[figure]:>9,}")
    print(f"  {'delivered_tokens':17} ledger {books.ledger['delivered_tokens']:>9,}", flush=True)
    agreed = books.engine == {figure: books.ledger[figure] for figure in ENGINE}
    return agreed and books.ledger["requests"] == requests and not books.leases


async def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running_fleet(Path(folder)) as fleet:
        agreed = [await prove(fleet, *each, requests) for each in (("SQLite", "a"), ("PostgreSQL", "b"))]
    raise SystemExit(0 if all(agreed) else "ledger and engine disagree")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    asyncio.run(main(parser.parse_args().requests))
