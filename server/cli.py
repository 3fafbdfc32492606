"""`electron-server serve | check | keys | usage`: thin commands over the parts."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

from server.admission.commands import create_key, list_keys, revoke_key
from server.admission.keyfile import Scope
from server.admission.listener import check_listener, describe_access
from server.fit import Card, budget, card_of, explain, present_card, read_source, shape_of
from server.nano import model_path
from server.processes import describe_processes
from server.settings import Settings, SettingsError, load_settings, prepare_engine_environment
from server.telemetry.logs import configure_logging
from server.telemetry.usage import By, parse_since, usage_rows
from server.telemetry.usage_report import Form, usage_report

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

INVITATION = """ready; try
  curl -N {url} -H 'Content-Type: application/json'{key} \\
    -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config, assignments=_assignments(options))
        prepare_engine_environment()
        sys.exit(options.command(settings, options))
    except SettingsError as error:
        sys.exit(f"configuration refused:\n{error}")


def serve(settings: Settings) -> int:
    """Run until a signal. The exit status is not 0 when the model could not be loaded or the engine died."""
    from server.serving import run

    check_listener(settings)
    configure_logging(settings.telemetry.log_level, settings.telemetry.log_format)
    http = settings.http

    def invite() -> None:
        url = f"http://{http.host}:{http.port}/v1/chat/completions"
        key = " -H 'Authorization: Bearer sk_…'" if settings.admission.keys_file else ""
        print(INVITATION.format(url=url, key=key, model=settings.model.served_names[0]), flush=True)

    print(f"listening on http://{http.host}:{http.port}, {describe_access(settings)}", flush=True)
    if http.processes > 1:
        print(describe_processes(settings), flush=True)
    print("the model is loading", flush=True)
    run(settings, on_ready=invite)


def check(settings: Settings, options: argparse.Namespace) -> int:
    """Validate the configuration without loading the model, and say whether it fits the card."""
    from server.lifecycle import validate

    validate(settings)
    print("The configuration is valid:")
    print(settings.model_dump_json(indent=2))
    if settings.http.processes > 1:
        print(f"{describe_processes(settings)}.")
    card = card_of(options.gpu) if options.gpu else present_card()
    if card is None:
        print("There is no GPU here: --gpu 24gb, or h200, says whether the model would fit one.")
        return 0
    return _check_fit(settings, card, options.calls, options.call_tokens)


def _check_fit(settings: Settings, card: Card, calls: int | None, call_tokens: int) -> int:
    model, engine = settings.model, settings.engine
    source = read_source(model.path or str(model_path()), model.revision)
    try:
        shape = shape_of(source.config)
    except KeyError as missing:
        raise SettingsError(f"{source.where}: config.json says nothing of {missing}") from None
    found = budget(shape, engine, card, model.context_window, call_tokens, source.weights)
    wanted = calls or min(int(engine.get("max_num_seqs") or 64), 64)
    lines, fits = explain(found, shape, engine, model.context_window, wanted)
    print("\n".join([f"By the config of {source.where}:", *lines]))
    return 0 if fits else 1


def keys_create(settings: Settings, options: argparse.Namespace) -> int:
    """Make a key and show it, once."""
    plans = settings.admission.plans
    scopes: tuple[Scope, ...] = ("inference", "admin") if options.admin else ("inference",)
    lines = create_key(_keys_file(settings), account=options.account, plan=options.plan, plans=plans, scopes=scopes)
    print("\n".join(lines))
    return 0


def keys_list(settings: Settings, options: argparse.Namespace) -> int:
    """List all keys, the revoked ones included."""
    print("\n".join(list_keys(_keys_file(settings), account=options.account)))
    return 0


def keys_revoke(settings: Settings, options: argparse.Namespace) -> int:
    """Make a key invalid, also in running servers."""
    print("\n".join(revoke_key(_keys_file(settings), options.id)))
    return 0


def usage(settings: Settings, options: argparse.Namespace) -> int:
    """Sum up what was used."""
    since = parse_since(options.since, time.time()) if options.since else None
    rows = usage_rows(settings.telemetry.ledger, options.by, options.account, since)
    print(usage_report(rows, options.by, options.format), end="")
    return 0


def _keys_file(settings: Settings) -> Path:
    if settings.admission.keys_file is None:
        raise SettingsError("say which file: `admission.keys_file` in the configuration, or --keys-file")
    return settings.admission.keys_file


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, help="a YAML file; see configs/")
    common.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="assignments", help="any setting, by name"
    )
    parser = argparse.ArgumentParser(prog="electron-server", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_server_command(commands, common, serve).set_defaults(command=lambda settings, options: serve(settings))
    checking = _add_server_command(commands, common, check)
    checking.set_defaults(command=check)
    checking.add_argument(
        "--gpu", help="24gb, 48gb, 80gb, 141gb, a name such as l4 or h200, or a size; else this machine's"
    )
    checking.add_argument("--calls", type=int, help="wanted at once; else engine.max_num_seqs, at most 64")
    checking.add_argument(
        "--call-tokens", type=int, default=4096, help="of one call, beside what it shares with others"
    )
    _add_keys_commands(commands.add_parser("keys", help="Who may call."), common)
    _add_usage_command(commands, common)
    return parser


def _add_server_command(
    commands: Commands, common: argparse.ArgumentParser, command: Callable[..., int]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(command.__name__, help=command.__doc__, parents=[common])
    parser.add_argument("--model", help="local folder or hub id (model.path)")
    parser.add_argument("--host", help="address to listen on (http.host)")
    parser.add_argument("--port", help="port to listen on (http.port)")
    return parser


def _add_keys_commands(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    create = commands.add_parser("create", help=keys_create.__doc__, parents=[common])
    create.set_defaults(command=keys_create)
    create.add_argument("--account", required=True)
    create.add_argument("--plan", required=True)
    create.add_argument("--admin", action="store_true", help="may use the operator's own routes")
    listing = commands.add_parser("list", help=keys_list.__doc__, parents=[common])
    listing.set_defaults(command=keys_list)
    listing.add_argument("--account")
    revoke = commands.add_parser("revoke", help=keys_revoke.__doc__, parents=[common])
    revoke.set_defaults(command=keys_revoke)
    revoke.add_argument("id", help="as `keys list` shows it")
    for each in (create, listing, revoke):
        each.add_argument("--keys-file", help="the file of keys (admission.keys_file)")


def _add_usage_command(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("usage", help=usage.__doc__, parents=[common])
    parser.set_defaults(command=usage)
    parser.add_argument("--account")
    parser.add_argument("--since", help="24h, 7d, or a date like 2026-01-31")
    parser.add_argument("--by", choices=get_args(By), default="day")
    parser.add_argument("--format", choices=get_args(Form), default="table")


def _assignments(options: argparse.Namespace) -> list[str]:
    named = {"model.path": "model", "http.host": "host", "http.port": "port", "admission.keys_file": "keys_file"}
    flags = {name: getattr(options, flag, None) for name, flag in named.items()}
    return [*options.assignments, *(f"{name}={value}" for name, value in flags.items() if value is not None)]
