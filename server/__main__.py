"""`python -m server`, the same as `electron-server`."""

import os
import signal


def main() -> None:
    """Heed signals from the first moment: what follows takes seconds to import, and PID 1 would ignore them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    from server.cli import main as command

    command()


if __name__ == "__main__":
    main()
