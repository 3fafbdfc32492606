"""Writes records to a ledger until it is killed, and says which. Arguments: folder, URL or nothing, max_loss."""

import asyncio
import itertools
import sys
import time

from server.records import Usage, UsageRecord
from server.settings import LedgerSettings
from server.telemetry.ledger import Ledger


async def main(directory: str, url: str, max_loss: str) -> None:
    ledger = Ledger(LedgerSettings(directory=directory, url=url or None, max_loss=max_loss), time.monotonic)
    ledger.start()
    for i in itertools.count():
        ledger.add(UsageRecord(f"{i:06}", "electron", "stop", Usage(20, 3, 16), 0.1, 1.0, started_at=time.time()))
        print(f"{i:06} {time.monotonic()}", flush=True)
        await asyncio.sleep(0.002)


asyncio.run(main(*sys.argv[1:]))
