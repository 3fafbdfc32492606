"""`electron-server serve | check`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn

from server.settings import Settings, SettingsError, load_settings, prepare_engine_environment

PROMPT_WORKERS = 2
INVITATION = """ready; try
  curl -N {url} -H 'Content-Type: application/json' \\
    -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config, assignments=_assignments(options))
        prepare_engine_environment()
        sys.exit(options.command(settings))
    except SettingsError as error:
        sys.exit(f"configuration refused:\n{error}")


def serve(settings: Settings) -> int:
    """Run until a signal. Returns the exit status: not 0 when the model could not be loaded."""
    from server.app import create_app
    from server.lifecycle import Lifecycle

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("server").setLevel(settings.telemetry.log_level)
    http = settings.http
    server: uvicorn.Server

    def invite() -> None:
        url = f"http://{http.host}:{http.port}/v1/chat/completions"
        print(INVITATION.format(url=url, model=settings.model.served_names[0]), flush=True)

    def stop() -> None:
        server.should_exit = True

    print(f"listening on http://{http.host}:{http.port}; the model is loading", flush=True)
    with ThreadPoolExecutor(PROMPT_WORKERS, thread_name_prefix="prompt") as workers:
        lifecycle = Lifecycle(settings, workers, on_ready=invite, on_failure=stop)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, lifecycle),
                host=http.host,
                port=http.port,
                timeout_keep_alive=http.keep_alive,
                timeout_graceful_shutdown=http.shutdown_timeout,
                access_log=False,
                server_header=False,
                log_config=None,
            )
        )
        asyncio.run(server.serve())
    return 1 if lifecycle.phase == "failed" else 0


def check(settings: Settings) -> int:
    """Validate the configuration without loading the model."""
    from server.lifecycle import validate

    validate(settings)
    print("The configuration is valid:")
    print(settings.model_dump_json(indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="electron-server", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (serve, check):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.set_defaults(command=command)
        sub.add_argument("--config", type=Path, help="a YAML file; see configs/")
        sub.add_argument("--model", help="local folder or hub id (model.path)")
        sub.add_argument("--host", help="address to listen on (http.host)")
        sub.add_argument("--port", help="port to listen on (http.port)")
        sub.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", dest="assignments", help="any setting, by name"
        )
    return parser


def _assignments(options: argparse.Namespace) -> list[str]:
    flags = {"model.path": options.model, "http.host": options.host, "http.port": options.port}
    return [*options.assignments, *(f"{name}={value}" for name, value in flags.items() if value is not None)]
